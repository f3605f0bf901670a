"""``/projects``: what the organizations of the one who asks work on."""

from __future__ import annotations

from flask import url_for
from sqlalchemy import Select, select

from tenantry import ApiException
from tenantry.api import ID, ApiResult, Collection, Filter, caseless, check_unchanged
from tenantry.organizations import Organization, need_role, role_in

from .. import services
from ..models import Project
from . import api_bp
from .filters import containing, equal
from .refusals import saying_why_not
from .schemas import ProjectIn, ProjectOut, ProjectPatch

PROJECTS = Collection(
    "projects",
    ProjectOut,
    filters={
        "organization_id": equal(Project.organization_id),
        "is_archived": Filter(
            bool,
            lambda value: Project.archived_at.is_not(None) if value else Project.archived_at.is_(None),
            "Those on which nobody works any more, or the others.",
        ),
        "q": containing(Project.name),
    },
    sorts={
        "id": Project.id,
        "name": caseless(Project.name),
        "created_at": Project.created_at,
        "updated_at": Project.updated_at,
    },
)


@api_bp.collection("/projects", PROJECTS)
def list_projects() -> Select[Project]:
    """List the projects of your organizations."""
    return select(Project)


@api_bp.post("/projects", body=ProjectIn, returns=ProjectOut, status=201)
def create_project(data: ProjectIn) -> ApiResult:
    """Make a project in one of your organizations."""
    if not role_in(data.organization_id):
        mistake = {"pointer": "/organization_id", "message": "You do not belong to such an organization."}
        raise ApiException(409, "There is no such organization.", [mistake])
    need_role(data.organization_id, "member")
    made = services.create_project(services.find(Organization, data.organization_id), data.name, data.description)
    return ApiResult(made, 201, {"Location": url_for(".get_project", project_id=made.id)})


@api_bp.get(f"/projects/<{ID}:project_id>", returns=ProjectOut)
def get_project(project_id: int) -> Project:
    """Get a project."""
    return services.find(Project, project_id)


@api_bp.patch(f"/projects/<{ID}:project_id>", body=ProjectPatch, returns=ProjectOut, errors=(409,), conditional=True)
def change_project(project_id: int, data: ProjectPatch) -> Project:
    """Change a project, or let nobody work on it any more."""
    project = services.find(Project, project_id)
    need_role(project.organization_id, "member")
    check_unchanged(ProjectOut, project)
    changes = data.model_dump(exclude_unset=True)
    with saying_why_not():
        services.change_project(project, **{"is_archived": project.is_archived, **changes})
    return project


@api_bp.delete(f"/projects/<{ID}:project_id>", status=204, conditional=True)
def delete_project(project_id: int) -> None:
    """Delete a project and everything in it, as one who looks after its organization."""
    project = services.find(Project, project_id)
    need_role(project.organization_id, "owner")
    check_unchanged(ProjectOut, project)
    services.delete(project, "project", project.name)
