"""The extension's tables: migrations make what the models say, take all of it away again, and bring it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import alembic.command
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.cli.db import _repo_for_plugin, db
from ckan.common import config
from click.testing import CliRunner

PREFIX = "mlops_"
ALEMBIC = "mlops_alembic_version"

# All that is in a schema, a line each, as PostgreSQL itself says it and without the schema's name. Unlike alembic's
# comparison it sees predicates and access methods of indexes, checks, primary keys, functions and triggers.
DESCRIBED = """
WITH ours AS (SELECT * FROM pg_class WHERE relnamespace = CAST(:schema AS regnamespace))
SELECT concat_ws(' ', 'relation', relkind, relname) FROM ours
UNION ALL
SELECT concat_ws(' ', 'column', relname, attname, format_type(atttypid, atttypmod),
                 CASE WHEN attnotnull THEN 'NOT NULL' END, pg_get_expr(adbin, adrelid))
FROM ours JOIN pg_attribute ON attrelid = ours.oid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relkind = 'r' AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT concat_ws(' ', 'constraint', relname, conname, pg_get_constraintdef(pg_constraint.oid))
FROM ours JOIN pg_constraint ON conrelid = ours.oid
UNION ALL
SELECT replace(pg_get_indexdef(oid), :schema || '.', '') FROM ours WHERE relkind = 'i'
UNION ALL
SELECT concat_ws(' ', relname, pg_get_triggerdef(pg_trigger.oid)) FROM ours JOIN pg_trigger ON tgrelid = ours.oid
UNION ALL
SELECT concat_ws(' ', 'function', proname, prosrc) FROM pg_proc WHERE pronamespace = CAST(:schema AS regnamespace)
UNION ALL
SELECT concat_ws(' ', 'type', typname) FROM pg_type
WHERE typnamespace = CAST(:schema AS regnamespace) AND typtype <> 'c' AND typcategory <> 'A'
"""


def described(schema: str) -> set[str]:
    """What is in the schema, but for alembic's own table."""
    with model.meta.engine.connect() as connection:
        lines = connection.scalars(sa.text(DESCRIBED), {"schema": schema}).all()
    return {line for line in lines if ALEMBIC not in line}


@pytest.fixture
def migrated(database: None) -> Iterator[str]:
    """A schema of its own for the migrations: the tables of the other tests stay."""
    yield from _schema("migrated")


@pytest.fixture
def modelled(database: None) -> Iterator[str]:
    yield from _schema("modelled")


def _schema(name: str) -> Iterator[str]:
    _execute(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")
    yield name
    _execute(f"DROP SCHEMA {name} CASCADE")


def _execute(statements: str) -> None:
    with model.meta.engine.begin() as connection:
        connection.execute(sa.text(statements))


@pytest.fixture
def ckan_db(migrated: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """``ckan db COMMAND -p mlops``, which sees nothing but that schema."""
    address = model.meta.engine.url.render_as_string(hide_password=False)
    separator = "&" if "?" in address else "?"
    monkeypatch.setitem(config, "sqlalchemy.url", f"{address}{separator}options=-csearch_path={migrated}")

    def run(command: str) -> None:
        result = CliRunner().invoke(db, [command, "-p", "mlops"], catch_exceptions=False)
        assert result.exit_code == 0, result.output

    return run


def test_migrations_make_what_the_models_say(ckan_db: Callable[[str], None], migrated: str, modelled: str) -> None:
    ckan_db("upgrade")
    tables = [table for table in model.meta.metadata.sorted_tables if table.name.startswith(PREFIX)]
    with model.meta.engine.begin() as connection:
        there = connection.execution_options(schema_translate_map={None: modelled})
        for table in tables:
            table.create(there)
    said = described(modelled)
    assert len([line for line in said if line.startswith("relation r ")]) == len(tables) > 0
    assert described(migrated) == said


def test_a_migration_that_alembic_proposes_is_empty() -> None:
    with _repo_for_plugin("mlops") as repo:
        repo.setup_migration_version_control()
        alembic.command.check(repo.alembic_config)  # raises what it would change


def test_a_downgrade_leaves_nothing_and_an_upgrade_brings_all_back(
    ckan_db: Callable[[str], None], migrated: str
) -> None:
    ckan_db("upgrade")
    before = described(migrated)
    ckan_db("downgrade")
    assert before
    assert described(migrated) == set()
    ckan_db("upgrade")
    assert described(migrated) == before
