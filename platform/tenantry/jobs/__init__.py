"""Jobs: what is done after the answer has left, by ``tenantry worker``, for the tenant that asked for it.

For authors of blueprints::

    from tenantry import jobs

    @jobs.job
    def send_digest(user_id: int) -> None:
        ...

    send_digest.enqueue(5)

A job is kept until it is done. So one whose worker is killed in the middle runs again, and should bear that.
"""

from .marking import Job, job

__all__ = ["Job", "job"]
