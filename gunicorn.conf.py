"""The safe settings for serving Tenantry. ``gunicorn wsgi:application`` reads this file by itself."""

import os

from tenantry.serving import announce, check_before_reload, check_before_start, follow

wsgi_app = "wsgi:application"
bind = [f"{os.environ.get('BIND_HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"]
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", "8"))

# Long enough that the application itself refuses an address with too long parameters, in its own form.
limit_request_line = 8190
timeout = 30
graceful_timeout = 30
keepalive = 5

# No header may set the door or the scheme: [platform] trusted_proxies counts the proxies that may speak, and
# scheme in tenants.toml says what visitors use.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers = {}
header_map = "refuse"

# One control socket a deployment, or two on one machine would answer each other's commands.
control_socket_disable = True

accesslog = "-" if os.environ.get("ACCESS_LOG") else None
access_log_format = '%(h)s %({tenantry.tenant}e)s "%(r)s" %(s)s %(B)s %(M)sms'


def on_starting(server):
    check_before_start(server)


def when_ready(server):
    announce(server)


def on_reload(server):
    check_before_reload(server)


def post_worker_init(worker):
    follow(worker)
