"""Reading SQL for places that are not filtered: what SQLAlchemy writes, what people write, and what they might try."""

from __future__ import annotations

import pytest

from tenantry.sql_reading import Reader

TABLES = {"project": "owner_id", "task": "owner_id", "order": "owner_id", "organization": "id"}
MINE = "seen"

#: SQL, and the tables of the places in it that are not filtered.
READ = {
    # One table.
    "SELECT title FROM project": "project",
    "SELECT title FROM project WHERE project.owner_id seen": "",
    "select title from PROJECT where Project.Owner_ID seen": "",
    'SELECT title FROM "project" WHERE "project".owner_id seen': "",
    "SELECT title FROM [project]": "project",
    "SELECT title FROM `project`": "project",
    "SELECT title FROM 'project'": "project",
    "SELECT title FROM main.project": "project",
    'SELECT title FROM "main"."project"': "project",
    "SELECT title FROM main.project WHERE project.owner_id seen": "",
    "SELECT p.title FROM project AS p WHERE p.owner_id seen": "",
    "SELECT p.title FROM project p WHERE p.owner_id seen": "",
    "SELECT p.title FROM project AS p WHERE project.owner_id seen": "project",
    'SELECT p.title FROM project AS "My Own" WHERE "My Own".owner_id seen': "",
    "SELECT project.title FROM project WHERE project.id seen": "project",
    "SELECT project.title FROM project WHERE task.owner_id seen": "project",
    "SELECT title FROM project WHERE owner_id seen": "project",
    "SELECT title FROM organization WHERE organization.id seen": "",
    # What makes a filter weaker.
    "SELECT 1 FROM project WHERE project.owner_id seen OR 1": "project",
    "SELECT 1 FROM project WHERE 1 OR project.owner_id seen": "project",
    "SELECT 1 FROM project WHERE a AND (project.owner_id seen OR 1)": "project",
    "SELECT 1 FROM project WHERE (a OR b) AND project.owner_id seen": "",
    "SELECT 1 FROM project WHERE (a OR b) AND (c AND (project.owner_id seen))": "",
    "SELECT 1 FROM project WHERE NOT project.owner_id seen": "project",
    "SELECT 1 FROM project WHERE project.owner_id NOT seen": "project",
    "SELECT 1 FROM project WHERE NOT (project.owner_id seen)": "project",
    "SELECT 1 FROM project WHERE (project.owner_id seen) = 0": "project",
    "SELECT 1 FROM project WHERE coalesce(project.owner_id seen, 1)": "project",
    "SELECT 1 FROM project WHERE x BETWEEN 0 AND project.owner_id seen": "project",
    "SELECT 1 FROM project WHERE x BETWEEN 0 AND 1 AND project.owner_id seen": "",
    "SELECT 1 FROM project WHERE CASE WHEN 1 AND project.owner_id seen AND 1 THEN 1 ELSE 1 END": "project",
    "SELECT 1 FROM project WHERE CASE WHEN 1 THEN 0 END = 0 AND project.owner_id seen": "",
    "SELECT 1 FROM project WHERE project.owner_id seen AND a IS DISTINCT FROM b OR 1": "project",
    "SELECT 1 FROM project WHERE project.owner_id seen AND t.left = 1 OR 1": "project",
    "SELECT project.owner_id seen FROM project": "project",
    "SELECT 1 FROM project GROUP BY 1 HAVING project.owner_id seen": "project",
    "SELECT 1 FROM project ORDER BY project.owner_id seen": "project",
    "SELECT 1 FROM project -- WHERE project.owner_id seen": "project",
    "SELECT 1 FROM project /* WHERE project.owner_id seen": "project",
    "SELECT 1 FROM project WHERE 'project.owner_id seen'": "project",
    'SELECT a AS "--" FROM project': "project",
    "SELECT a AS \"it's\" FROM project WHERE '' = ''": "project",
    "SELECT 1 FROM project WHERE project.owner_id seen OR project.owner_id IS NULL": "",
    "SELECT 1 FROM project WHERE a AND (project.owner_id seen OR project.owner_id IS NULL)": "",
    "SELECT 1 FROM project WHERE project.owner_id seen OR project.title IS NULL": "project",
    # Joins.
    "SELECT 1 FROM project JOIN task ON task.owner_id seen WHERE project.owner_id seen": "",
    "SELECT 1 FROM project LEFT OUTER JOIN task ON a AND task.owner_id seen WHERE project.owner_id seen": "",
    "SELECT 1 FROM project LEFT JOIN task ON task.owner_id seen AND project.owner_id seen": "project",
    "SELECT 1 FROM project, task WHERE project.owner_id seen": "task",
    "SELECT 1 FROM person JOIN project ON 1, task WHERE project.owner_id seen": "task",
    "SELECT 1 FROM person LEFT JOIN (a JOIN task ON task.owner_id seen) ON 1": "",
    "SELECT 1 FROM person LEFT JOIN (a JOIN task ON 1) ON task.owner_id seen": "",
    "SELECT 1 FROM person LEFT JOIN (a JOIN task ON 1) ON 1": "task",
    "SELECT 1 FROM person LEFT JOIN task ON task.owner_id seen LEFT JOIN project ON project.owner_id seen WHERE 1": "",
    "SELECT 1 FROM person RIGHT JOIN project ON 1 WHERE project.owner_id seen": "project",
    "SELECT 1 FROM (person FULL OUTER JOIN project ON 1) WHERE project.owner_id seen": "project",
    "SELECT 1 FROM project AS a JOIN project AS b ON b.owner_id seen WHERE a.owner_id seen": "",
    "SELECT 1 FROM project AS a JOIN project AS b ON a.owner_id seen WHERE a.owner_id seen": "project",
    # Selects in selects: each place has a filter of its own.
    "SELECT (SELECT count(*) FROM project) FROM project WHERE project.owner_id seen": "project",
    "SELECT 1 FROM x WHERE id IN (SELECT id FROM project WHERE project.owner_id seen)": "",
    "SELECT 1 FROM x WHERE id IN project": "project",
    "SELECT 1 FROM x WHERE id IN main.project": "project",
    "SELECT 1 FROM project WHERE project.owner_id seen UNION ALL SELECT 1 FROM project": "project",
    "SELECT 1 FROM project UNION SELECT 1 FROM project WHERE project.owner_id seen": "project",
    "SELECT 1 FROM (SELECT * FROM project) AS project WHERE project.owner_id seen": "project",
    "WITH x AS (SELECT 1 FROM project) SELECT 1 FROM x": "project",
    "WITH x AS (SELECT 1 FROM project WHERE project.owner_id seen) SELECT 1 FROM x": "",
    "SELECT EXISTS (SELECT 1 FROM task WHERE task.owner_id seen)": "",
    "SELECT count(x) FILTER (WHERE project.owner_id seen) FROM project": "project",
    "VALUES ((SELECT 1 FROM project))": "project",
    # Writing.
    "UPDATE project SET title = 1 WHERE project.owner_id seen": "",
    "UPDATE project SET title = 1": "project",
    "UPDATE project SET owner_id = 1 WHERE project.owner_id seen": "project",
    "UPDATE project SET title = (SELECT 1 WHERE 1), owner_id = 1 WHERE project.owner_id seen": "project",
    "UPDATE project SET (title, owner_id) = (1, 2) WHERE project.owner_id seen": "project",
    "WITH x AS (SELECT 1) UPDATE project SET owner_id = 1 WHERE project.owner_id seen": "project",
    "UPDATE project SET title = 1 WHERE project.owner_id = 1 AND project.owner_id seen": "",
    "DELETE FROM project": "project",
    "DELETE FROM project WHERE project.owner_id seen": "",
    "INSERT INTO project (a) VALUES (1)": "project",
    "INSERT INTO project (a) SELECT a FROM project WHERE project.owner_id seen": "project",
    "INSERT OR REPLACE INTO main.project (a) VALUES ((SELECT max(a) FROM project))": "project project",
    "REPLACE INTO project (a) VALUES (1)": "project",
    "INSERT INTO other (project, task) VALUES (1, 2)": "",
    "CREATE TABLE x AS SELECT * FROM project": "project",
    "DROP TABLE project": "project",
    # What only has such a name.
    "SELECT t.project, t.task AS task FROM t ORDER BY task": "",
    "SELECT title AS project FROM page AS project": "",
    "SELECT 'project', 'a task' FROM page -- project": "",
    'SELECT 1 AS "my project" FROM projects': "",
    "SELECT 1 FROM page ORDER BY page.id": "",
    'SELECT 1 FROM "order"': "order",
    "UPDATE page SET project = 1, task = 2": "",
}


@pytest.mark.parametrize(("sql", "tables"), READ.items(), ids=range(len(READ)))
def test_every_place_is_found_and_told_whether_it_is_filtered(sql: str, tables: str) -> None:
    assert " ".join(Reader(TABLES, MINE).unfiltered(sql)) == tables, sql


@pytest.mark.parametrize("sql", ["", "(", ")", "SELECT ((( FROM project", "'", '"project', "[project", "/*", "\0"])
def test_what_is_no_sql_can_be_read(sql: str) -> None:
    assert list(Reader(TABLES, MINE).unfiltered(sql)) in ([], ["project"])


def test_it_takes_no_longer_than_it_has_to() -> None:
    long = f"SELECT {'a, ' * 20_000} 1 FROM project WHERE {'(' * 300}1{')' * 300} AND project.owner_id seen"
    assert list(Reader(TABLES, MINE).unfiltered(long)) == []
