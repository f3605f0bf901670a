"""The security context: everybody sees what their organizations own, in whatever way they ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    Table,
    delete,
    event,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    table,
    text,
    true,
    union,
    update,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import (
    Mapped,
    aliased,
    declared_attr,
    joinedload,
    mapped_column,
    selectinload,
    subqueryload,
)

from blueprints.projects.models import Comment, PartnerInvitation, Project, Task
from blueprints.sections.models import Page
from tenantry import Platform, db
from tenantry.errors import ForeignOrganization, LastingStatement, NoReason, RoleTooLow, UnfilteredQuery
from tenantry.events import Event
from tenantry.organizations import (
    LastOwner,
    Membership,
    Organization,
    OrganizationOwned,
    Scoped,
    act_for,
    add_member,
    found_organization,
    get_available_organizations,
    has_role,
    remove_member,
    role_in,
    set_role,
    unscoped,
)
from tenantry.organizations.scope import CRITERIA
from tenantry.scope_guard import UNSCOPED
from tenantry.testing import client_of, make_platform
from tenantry.times import now
from tenantry.users import CurrentUser, User, become

#: Every model whose rows belong to organizations. A new one is named here, or this test fails.
SCOPED = {Organization, Membership, Event, Project, Task, Comment, PartnerInvitation}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One for all tests here: what they write is undone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENANTRY_ENV", "testing")
        made = make_platform(tmp_path_factory.mktemp("site"))
    yield made
    assert made.databases.lent == 0
    made.databases.close_idle()


@pytest.fixture(scope="module")
def world(platform: Platform) -> dict[str, int]:
    """Two organizations of one tenant with the same things in each; ada belongs to one, bob to the other, eve to none."""
    ids = {name: client_of(platform, "acme").log_in(name).id for name in ("ada", "bob", "eve", "gus")}
    with platform.tenant("acme"):
        for name in ("ada", "bob"):
            become(CurrentUser.of(db.session.get_one(User, ids[name]), "session"))
            organization = found_organization(f"of {name}")
            project = Project(organization_id=organization.id, name=f"{name}'s project")
            db.session.add(project)
            db.session.flush()
            task = Task(organization_id=organization.id, project_id=project.id, title=f"{name}'s task")
            db.session.add(task)
            db.session.flush()
            db.session.add(Comment(organization_id=organization.id, task_id=task.id, body=f"{name}'s comment"))
            db.session.add(
                PartnerInvitation(
                    organization_id=organization.id,
                    workspace="globex",
                    username="zoe",
                    role="member",
                    inviter_id=ids[name],
                    expires_at=now() + timedelta(days=1),
                )
            )
            db.session.add(
                Event(kind="task.created", subject_id=task.id, title=f"{name}'s event", organization_id=organization.id)
            )
        db.session.add(Event(kind="page.created", subject_id=1, title="everybody's event"))
        db.session.add(Page(section="help", slug="x", title="x"))
    return ids


@pytest.fixture
def as_ada(platform: Platform, world: dict[str, int]) -> Iterator[None]:
    with request_of(platform, world["ada"]):
        yield


def request_of(platform: Platform, user_id: int, method: str = "POST") -> Any:
    """A request of somebody, in whose context the test then is."""

    class Entered:
        def __enter__(self) -> None:
            self.context = platform.tenant_app("acme").test_request_context("/acme/", method=method)
            self.context.push()
            become(CurrentUser.of(db.session.get_one(User, user_id), "session"))

        def __exit__(self, *error: Any) -> None:
            db.rollback()
            self.context.pop()

    return Entered()


def owned(row: Any) -> int | None:
    return row.id if isinstance(row, Organization) else row.organization_id


def test_every_model_is_listed() -> None:
    """A model that names an organization is one of those that are filtered, and guarded."""
    shipped = {
        mapper.class_
        for mapper in db.Model.registry.mappers
        if mapper.class_.__module__.startswith(("tenantry", "blueprints"))
    }
    naming = {
        model
        for model in shipped
        if any(key.column.table.name == "tenantry_organization" for key in model.__table__.foreign_keys)
    }
    assert naming | {Organization} == SCOPED
    assert {model for model in CRITERIA if model in shipped} == SCOPED
    assert all(issubclass(model, Scoped) for model in SCOPED)


QUERIES: dict[str, Callable[[Any], Any]] = {
    "select": lambda m: db.session.scalars(select(m)).all(),
    "execute": lambda m: db.session.execute(select(m)).scalars().all(),
    "query": lambda m: db.session.query(m).all(),
    "alias": lambda m: db.session.scalars(select(aliased(m))).all(),
    "alias with a name of its own": lambda m: db.session.scalars(select(aliased(m, name="My Own"))).all(),
    "ordered part": lambda m: db.session.scalars(select(m).order_by(m.id.desc()).limit(10)).all(),
    "or true": lambda m: db.session.scalars(select(m).where((m.id > 0) | (m.id < 0))).all(),
    "stream": lambda m: [
        row for part in db.session.scalars(select(m).execution_options(yield_per=1)).partitions() for row in part
    ],
    "subquery": lambda m: db.session.scalars(select(aliased(m, select(m).subquery()))).all(),
    "common table": lambda m: db.session.scalars(select(aliased(m, select(m).cte()))).all(),
    "union": lambda m: db.session.scalars(select(m).from_statement(union(select(m), select(m)))).all(),
    "join": lambda m: db.session.scalars(select(m).join(User, User.id > 0).distinct()).all(),
    "returning": lambda m: db.session.scalars(update(m).values(created_at=m.created_at).returning(m)).all(),
}
COUNTS: dict[str, Callable[[Any], Any]] = {
    "count": lambda m: select(func.count()).select_from(m),
    "count of ids": lambda m: select(func.count(m.id)),
    "count of a subquery": lambda m: select(func.count()).select_from(select(m).subquery()),
    "count of an alias": lambda m: select(func.count()).select_from(aliased(m)),
    "scalar subquery": lambda m: select(select(func.count(m.id)).scalar_subquery()),
    "beside another model": lambda m: select(select(func.count(m.id)).scalar_subquery()).select_from(Page).limit(1),
    "in a condition": lambda m: select(func.count(User.id)).where(select(func.count(m.id)).scalar_subquery() == 2),
}


@pytest.mark.parametrize("model", sorted(SCOPED, key=lambda model: model.__name__), ids=lambda model: model.__name__)
class TestEveryModel:
    @pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
    def test_every_way_of_asking_sees_ones_own(
        self, platform: Platform, as_ada: None, model: Any, query: Callable[[Any], Any]
    ) -> None:
        found = query(model)
        assert {owned(row) for row in found} - {None} == set(get_available_organizations()) == {1}

    @pytest.mark.parametrize("name", COUNTS)
    def test_counts_count_ones_own(self, platform: Platform, as_ada: None, model: Any, name: str) -> None:
        everything = len(db.session.scalars(unscoped(select(model), "to compare")).all())
        own = len(db.session.scalars(select(model)).all())
        assert own < everything
        users = db.session.scalar(select(func.count(User.id)))
        expected = own if name != "in a condition" else users if own == 2 else 0
        assert db.session.scalar(COUNTS[name](model)) == expected

    def test_getting_by_key(self, platform: Platform, as_ada: None, model: Any) -> None:
        others = [row for row in db.session.scalars(unscoped(select(model), "to find them")) if owned(row) == 2]
        numbers = [row.id for row in others]
        assert numbers
        assert all(db.session.get(model, number) is None for number in numbers), "those that are loaded already, too"
        db.session.expunge_all()
        assert all(db.session.get(model, number) is None for number in numbers)
        assert all(db.session.query(model).filter_by(id=number).first() is None for number in numbers)

    def test_changing_and_deleting_at_once(self, platform: Platform, as_ada: None, model: Any) -> None:
        others = unscoped(select(func.count(model.id)).where(model.scope_column() == 2), "to compare")
        before = db.session.scalar(others)
        assert db.session.execute(update(model).values(created_at=model.created_at)).rowcount == len(
            db.session.scalars(select(model)).all()
        )
        db.session.execute(delete(model))
        assert db.session.scalar(others) == before

    @pytest.mark.parametrize("who", ["eve", "nobody"])
    def test_strangers_see_nothing(self, platform: Platform, world: dict[str, int], model: Any, who: str) -> None:
        with platform.tenant_app("acme").test_request_context("/acme/", method="POST"):
            if who == "eve":
                become(CurrentUser.of(db.session.get_one(User, world["eve"]), "session"))
            assert [owned(row) for row in db.session.scalars(select(model)) if owned(row)] == []
            db.rollback()

    @pytest.mark.parametrize(
        "statement",
        [
            pytest.param(lambda m: select(m.__table__), id="Core"),
            pytest.param(lambda m: select(m.__table__.c.id), id="Core's column"),
            pytest.param(lambda m: select(table(m.__tablename__, literal_column("id"))), id="light table"),
            pytest.param(lambda m: text(f"SELECT * FROM {m.__tablename__}"), id="text"),
            pytest.param(lambda m: text(f'SELECT * FROM "{m.__tablename__.upper()}"'), id="text in capitals"),
            pytest.param(lambda m: text(f"SELECT 1 FROM page, {m.__tablename__} x"), id="text with a short name"),
            pytest.param(lambda m: text(f"DELETE FROM {m.__tablename__}"), id="text that deletes"),
            pytest.param(
                lambda m: select(m).from_statement(text(f"SELECT * FROM {m.__tablename__}")), id="ORM from text"
            ),
            pytest.param(
                lambda m: select(m).join(m.__table__.alias("other"), literal_column("1") == 1), id="Core beside ORM"
            ),
            pytest.param(lambda m: update(m.__table__).values(id=7), id="Core's update"),
            pytest.param(lambda m: delete(m.__table__), id="Core's delete"),
            pytest.param(lambda m: insert(m).values(id=7), id="insert"),
        ],
    )
    def test_what_cannot_be_filtered_is_refused(
        self, platform: Platform, as_ada: None, model: Any, statement: Callable[[Any], Any]
    ) -> None:
        with pytest.raises(UnfilteredQuery, match=model.__tablename__):
            db.session.execute(statement(model))

    def test_past_the_session_it_is_refused_too(self, platform: Platform, as_ada: None, model: Any) -> None:
        connection = db.session.connection()
        with pytest.raises(UnfilteredQuery):
            connection.execute(select(model.__table__))
        with pytest.raises(UnfilteredQuery):
            connection.exec_driver_sql(f"SELECT * FROM {model.__tablename__}")

    def test_unscoped_says_why(self, platform: Platform, as_ada: None, model: Any) -> None:
        with pytest.raises(NoReason, match="needs a reason"):
            model.unscoped()
        assert {owned(row) for row in db.session.scalars(model.unscoped("a test"))} - {None} == {1, 2}
        assert {owned(row) for row in db.session.scalars(select(model))} - {None} == {1}, "only that statement"

    def test_outside_a_request_unscoped_needs_no_reason(
        self, platform: Platform, world: dict[str, int], model: Any
    ) -> None:
        with platform.tenant("acme"):
            assert [owned(row) for row in db.session.scalars(select(model)) if owned(row)] == [], "nobody asks"
            assert {owned(row) for row in db.session.scalars(model.unscoped())} - {None} == {1, 2}


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(
            lambda: select(User.username, Task.title).join(Task, Task.assignee_id == User.id, full=True), id="full join"
        ),
        pytest.param(lambda: text("SELECT * FROM main.project"), id="a schema before the name"),
        pytest.param(
            lambda: text("SELECT * FROM project /* project.organization_id IN (what is mine) */"), id="a comment"
        ),
        pytest.param(lambda: text("CREATE TEMP TABLE leak AS SELECT 1"), id="what stays in the connection"),
        pytest.param(lambda: update(Membership).values(organization_id=1, role="owner"), id="moved by an update"),
        pytest.param(
            lambda: update(Membership).values(
                role=select(literal("owner")).where(User.id == 1).scalar_subquery(), organization_id=2
            ),
            id="moved by an update with a subquery",
        ),
        pytest.param(
            lambda: update(Project).values(organization_id=2).add_cte(select(User.id).cte("x")), id="moved beside a CTE"
        ),
        pytest.param(lambda: select(Project.__table__).where(or_(Project.scope(), true())), id="a filter beside OR"),
        pytest.param(
            lambda: select(Task.title).where(Task.scope()).union_all(select(Task.__table__.c.title)),
            id="two filters in one of two selects",
        ),
        pytest.param(
            lambda: select(Project.name, select(func.count()).select_from(Project.__table__).scalar_subquery()).where(
                Project.scope()
            ),
            id="two filters in one place",
        ),
        pytest.param(lambda: update(Event).where(Event.id > 0).values(organization_id=None), id="given to everybody"),
    ],
)
def test_ways_around_it_are_refused(platform: Platform, as_ada: None, statement: Callable[[], Any]) -> None:
    with pytest.raises(UnfilteredQuery):
        db.session.execute(statement())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT name FROM 'project'",
        "SELECT name FROM 'PROJECT'",
        "UPDATE 'project' SET name = 'x'",
        "DELETE FROM 'project'",
        'SELECT name FROM "project"',
        "SELECT name FROM [project]",
        "SELECT name FROM `project`",
        'SELECT name AS "a--b" FROM project',
        "SELECT name AS \"it's\" FROM project WHERE '' = ''",
        'SELECT name AS "/*" FROM project /* */',
        "SELECT name AS [it's] FROM project WHERE '' = ''",
        "SELECT name AS `--` FROM project",
        "SELECT 'it''s' AS a, name FROM project",
    ],
)
def test_names_in_quotes_hide_nothing(platform: Platform, as_ada: None, sql: str) -> None:
    with pytest.raises(UnfilteredQuery):
        db.session.execute(text(sql))


def test_what_only_speaks_of_a_table_is_sent(platform: Platform, as_ada: None) -> None:
    for sql in ("SELECT 'a project'", "SELECT 1 -- project", "SELECT 1 /* project", 'SELECT 1 AS "my projects"'):
        db.session.execute(text(sql))


def test_a_call_that_says_why_is_not_filtered(platform: Platform, as_ada: None) -> None:
    why: Any = {"execution_options": {UNSCOPED: "a test"}}
    assert len(db.session.scalars(select(Project), **why).all()) == 2
    assert db.session.get(Project, 2, **why) is not None
    assert db.session.get(Project, 2) is None


def test_nobody_else_is_made_the_asker_by_a_parameter(platform: Platform, as_ada: None) -> None:
    for name in ("tenantry_asker", "asker", "user_id"):
        assert [row.name for row in db.session.scalars(select(Project), {name: 2})] == ["ada's project"]


@pytest.mark.parametrize("other", [select(func.max(Task.title)), select(func.max(Project.name))])
def test_a_flush_reads_nothing_of_others(platform: Platform, as_ada: None, other: Any) -> None:
    project = db.session.scalars(select(Project)).one()
    project.name = other.scalar_subquery()
    with pytest.raises(UnfilteredQuery):
        db.session.flush()
    db.rollback()
    db.session.add(Project(organization_id=1, name=other.scalar_subquery()))
    with pytest.raises(UnfilteredQuery):
        db.session.flush()


@pytest.mark.parametrize(
    "send",
    [
        lambda connection: connection.execute(update(Project.__table__).values(name="x")),
        lambda connection: connection.execute(text("DELETE FROM project")),
        lambda connection: connection.execute(insert(Project.__table__).values(organization_id=2, name="x")),
    ],
)
def test_what_others_send_during_a_flush_is_looked_at(
    platform: Platform, as_ada: None, send: Callable[[Any], Any]
) -> None:
    def meddle(mapper: Any, connection: Any, target: Any) -> None:
        send(connection)

    event.listen(Project, "after_update", meddle)
    try:
        db.session.scalars(select(Project)).one().name = "new"
        with pytest.raises(UnfilteredQuery):
            db.session.flush()
    finally:
        event.remove(Project, "after_update", meddle)


def test_nothing_moves_by_a_relationship_or_at_the_last_moment(platform: Platform, as_ada: None) -> None:
    def move(mapper: Any, connection: Any, target: Any) -> None:
        target.organization_id = 2

    other = db.session.scalars(unscoped(select(Organization).where(Organization.id == 2), "to have one")).one()
    for task in db.session.scalars(select(Task)):
        db.session.delete(task)
    db.session.flush()
    project = db.session.scalars(select(Project)).one()
    with pytest.raises((UnfilteredQuery, ForeignOrganization)), db.session.begin_nested():
        project.organization = other
    event.listen(Project, "before_update", move)
    try:
        with pytest.raises((UnfilteredQuery, ForeignOrganization)), db.session.begin_nested():
            project.name = "new"
    finally:
        event.remove(Project, "before_update", move)
    assert {owned(row) for row in db.session.scalars(Project.unscoped("a test"))} == {1, 2}
    assert len(db.session.scalars(select(Project)).all()) == 1


class _NamedByAMixin:
    @declared_attr.directive
    def __tablename__(cls) -> str:
        return f"test_{cls.__name__.lower()}"


class _Abstract(OrganizationOwned, db.Model):
    __abstract__ = True


class NoteByMixin(_NamedByAMixin, OrganizationOwned, db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)


class NoteByBase(_NamedByAMixin, _Abstract):
    id: Mapped[int] = mapped_column(primary_key=True)


class NoteByTable(OrganizationOwned, db.Model):
    __table__ = Table(
        "test_notebytable",
        db.Model.metadata,
        Column("id", Integer, primary_key=True),
        Column("organization_id", ForeignKey("tenantry_organization.id")),
    )


@pytest.mark.parametrize("model", [NoteByMixin, NoteByBase, NoteByTable])
def test_a_model_is_guarded_however_it_got_its_table(platform: Platform, as_ada: None, model: Any) -> None:
    assert model in CRITERIA
    with pytest.raises(UnfilteredQuery):
        db.session.execute(select(model.__table__))
    with pytest.raises(OperationalError, match=r"no such table: test_note\w+") as refused:
        db.session.execute(select(model))
    assert "organization_id IN (SELECT" in str(refused.value)


def test_a_label_may_have_the_name_of_a_table(platform: Platform, as_ada: None) -> None:
    label = Project.name.label("task")
    assert db.session.scalars(select(label).order_by(label)).all() == ["ada's project"]
    quoted = Task.title.label("owner's title")
    assert db.session.scalars(select(quoted).order_by(quoted)).all() == ["ada's task"]


@pytest.mark.parametrize(
    "written", [lambda where: exists().where(where), lambda where: exists(select(Project.id).where(where))]
)
def test_exists_is_filtered(platform: Platform, as_ada: None, written: Callable[[Any], Any]) -> None:
    assert db.session.scalar(select(written(Project.id == 2))) is False
    assert db.session.scalar(select(written(Project.id == 1))) is True
    assert db.session.scalars(select(User.id).where(written(Project.id == 2))).all() == []


@pytest.mark.parametrize("load", [None, selectinload, joinedload, subqueryload])
def test_what_is_loaded_along_is_filtered(platform: Platform, as_ada: None, load: Any) -> None:
    """Even where a row of another organization hangs on one's own, as the database would not let it."""
    db.session.connection().exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    db.session.execute(unscoped(update(Task).where(Task.id == 2).values(project_id=1), "to make what cannot be"))
    db.session.expire_all()
    statement = select(Project).options(load(Project.tasks)) if load else select(Project)
    (project,) = db.session.scalars(statement).unique().all()
    assert [task.title for task in project.tasks] == ["ada's task"]
    assert [comment.body for comment in project.tasks[0].comments] == ["ada's comment"]


def test_the_way_back_is_filtered(platform: Platform, as_ada: None) -> None:
    other = db.session.scalars(unscoped(select(Task).where(Task.id == 2), "to have one")).one()
    assert other.project is None
    assert other.comments == []


class TestWriting:
    def test_nothing_is_written_for_others(self, platform: Platform, as_ada: None) -> None:
        db.session.add(Project(organization_id=2, name="mine now"))
        with pytest.raises(ForeignOrganization, match="Project of organization 2"):
            db.session.flush()

    def test_nothing_of_others_is_changed(self, platform: Platform, as_ada: None) -> None:
        other = db.session.scalars(Project.unscoped("to try it")).all()[1]
        other.name = "mine now"
        with pytest.raises(ForeignOrganization):
            db.session.flush()

    def test_nothing_of_others_is_deleted(self, platform: Platform, as_ada: None) -> None:
        db.session.delete(db.session.scalars(Project.unscoped("to try it")).all()[1])
        with pytest.raises(ForeignOrganization):
            db.session.flush()

    @pytest.mark.parametrize(("own", "target"), [(1, 2), (2, 1)])
    def test_nothing_moves_from_one_to_the_other(self, platform: Platform, as_ada: None, own: int, target: int) -> None:
        chosen = Project.unscoped("to try it").where(Project.organization_id == own)
        db.session.scalars(chosen).one().organization_id = target
        with pytest.raises(ForeignOrganization):
            db.session.flush()

    def test_many_at_once_are_refused(self, platform: Platform, as_ada: None) -> None:
        with pytest.raises(UnfilteredQuery):
            db.session.execute(
                insert(Project), [{"organization_id": 1, "name": "a"}, {"organization_id": 2, "name": "b"}]
            )
        with pytest.raises(UnfilteredQuery):
            db.session.bulk_save_objects([Project(organization_id=2, name="b")])

    def test_the_guard_is_up_again_after_a_write_that_failed(self, platform: Platform, as_ada: None) -> None:
        db.session.add(Membership(organization_id=1, user_id=99))
        with pytest.raises(Exception, match="FOREIGN KEY"):
            db.session.flush()
            db.session.commit()
        db.session.rollback()
        with pytest.raises(UnfilteredQuery):
            db.session.execute(text("SELECT * FROM project"))

    def test_the_database_holds_rows_and_their_organization_together(
        self, platform: Platform, world: dict[str, int]
    ) -> None:
        with pytest.raises(Exception, match="FOREIGN KEY"):
            with platform.tenant("acme"):
                db.session.add(Task(organization_id=1, project_id=2, title="between two"))

    def test_acting_for_another_needs_a_reason_and_shows_nothing_more(self, platform: Platform, as_ada: None) -> None:
        with pytest.raises(NoReason):
            act_for(2, "")
        act_for(2, "a test")
        db.session.add(Project(organization_id=2, name="for them"))
        db.session.flush()
        assert [row.organization_id for row in db.session.scalars(select(Project))] == [1]


class TestRoles:
    """What a viewer may not do, and what only owners may: whoever forgets to ask is asked by the session."""

    @pytest.fixture
    def as_viewer(self, platform: Platform, world: dict[str, int], as_ada: None) -> None:
        membership = add_member(1, world["gus"], "viewer")
        db.session.flush()
        db.session.expunge(membership)
        become(CurrentUser.of(db.session.get_one(User, world["gus"]), "session"))

    def test_a_viewer_reads(self, as_viewer: None) -> None:
        assert db.session.scalars(select(Project.name)).all() == ["ada's project"]
        assert (role_in(1), has_role(1, "viewer"), has_role(1, "member"), has_role(2, "viewer")) == (
            "viewer", True, False, False,
        )  # fmt: skip

    @pytest.mark.parametrize("do", ["add", "change", "delete"])
    def test_a_viewer_writes_nothing(self, as_viewer: None, do: str) -> None:
        task = db.session.scalars(select(Task)).one()
        if do == "add":
            db.session.add(Task(organization_id=1, project_id=task.project_id, title="x"))
        elif do == "change":
            task.title = "x"
        else:
            db.session.delete(task)
        with pytest.raises(RoleTooLow, match="viewer there; expected member") as refused:
            db.session.flush()
        assert (refused.value.model, refused.value.role, refused.value.needed) == ("Task", "viewer", "member")

    def test_nor_many_at_once(self, as_viewer: None) -> None:
        assert db.session.execute(update(Task).values(title="x")).rowcount == 0
        assert db.session.execute(delete(Comment)).rowcount == 0
        assert db.session.execute(update(Organization).values(name="x")).rowcount == 0

    def test_a_member_works_and_does_not_look_after_it(
        self, platform: Platform, world: dict[str, int], as_ada: None
    ) -> None:
        add_member(1, world["gus"], "member")
        become(CurrentUser.of(db.session.get_one(User, world["gus"]), "session"))
        assert db.session.execute(update(Task).values(title="x")).rowcount == 1
        assert db.session.execute(update(Organization).values(name="x")).rowcount == 0
        assert db.session.execute(delete(PartnerInvitation)).rowcount == 0
        db.session.scalars(select(Organization)).one().name = "mine"
        with pytest.raises(RoleTooLow, match="is member there; expected owner"):
            db.session.flush()

    def test_views_that_forget_to_ask_are_answered_for(
        self, platform: Platform, world: dict[str, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With 404 and 403, also where nothing is written before the answer is there."""
        app = platform.tenant_app("acme")
        monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
        for user, organization_id, status in (("ada", 2, 404), ("ada", 99, 404), ("gus", 1, 403)):
            for at_once in (True, False):
                with app.test_request_context("/acme/", method="POST"):
                    become(CurrentUser.of(db.session.get_one(User, world["ada"]), "session"))
                    if user == "gus":
                        add_member(1, world["gus"], "viewer")
                        become(CurrentUser.of(db.session.get_one(User, world["gus"]), "session"))

                    def view(organization_id: int = organization_id, at_once: bool = at_once) -> str:
                        db.session.add(Project(organization_id=organization_id, name="x"))
                        if at_once:
                            db.session.flush()
                        return "done"

                    try:
                        response = app.finalize_request(view())
                    except Exception as error:
                        handle = app.handle_user_exception if at_once else app.handle_exception
                        response = app.make_response(handle(error))
                    db.rollback()
                    assert response.status_code == status, (user, organization_id, at_once)


class TestManaging:
    def test_who_founds_is_owner(self, platform: Platform, as_ada: None) -> None:
        made = found_organization("third", "of three")
        assert role_in(made.id) == "owner"
        assert {row.name for row in db.session.scalars(select(Organization))} == {"of ada", "third"}

    def test_a_member_sees_and_one_who_left_does_not(self, platform: Platform, world: dict[str, int]) -> None:
        with request_of(platform, world["ada"]):
            add_member(1, world["gus"], "viewer")
            db.session.commit()
        with request_of(platform, world["gus"]):
            assert [row.name for row in db.session.scalars(select(Project))] == ["ada's project"]
            own = db.session.scalars(select(Membership).where(Membership.user_id == world["gus"])).one()
            remove_member(own)
            db.session.commit()
            assert db.session.scalars(select(Project)).all() == []
            assert dict(get_available_organizations()) == {}

    def test_adding_somebody_twice_changes_nothing(
        self, platform: Platform, as_ada: None, world: dict[str, int]
    ) -> None:
        first = add_member(1, world["eve"], "viewer")
        assert add_member(1, world["eve"], "owner") is first
        assert first.role == "viewer"

    def test_the_last_owner_stays(self, platform: Platform, as_ada: None, world: dict[str, int]) -> None:
        own = db.session.scalars(select(Membership)).one()
        with pytest.raises(LastOwner):
            remove_member(own)
        with pytest.raises(LastOwner):
            set_role(own, "member")
        set_role(add_member(1, world["eve"]), "owner")
        set_role(own, "member")
        assert role_in(1) == "member"


def test_contexts_nest_and_each_has_its_own_asker(platform: Platform, world: dict[str, int]) -> None:
    with request_of(platform, world["ada"]):
        with platform.tenant("globex"):
            assert db.session.scalars(select(Organization)).all() == []
        assert [row.name for row in db.session.scalars(select(Organization))] == ["of ada"]


def test_the_same_sql_is_for_whoever_asks(platform: Platform, world: dict[str, int]) -> None:
    """The compiled statement is kept; who asks is put in each time."""
    for _ in range(3):
        for name in ("ada", "bob", "eve"):
            with request_of(platform, world[name], "GET"):
                assert [row.name for row in db.session.scalars(select(Project))] == (
                    [] if name == "eve" else [f"{name}'s project"]
                )


def test_errors_say_what_to_do() -> None:
    assert "select(Project)" in str(UnfilteredQuery(["project"]))
    assert "migration" in str(LastingStatement())
    assert "Make another member one" in str(LastOwner(3))
    assert "unscoped(statement" in str(UnfilteredQuery(["project", "task"]))
    assert "select(Organization)" in str(ForeignOrganization("Task", 5))
