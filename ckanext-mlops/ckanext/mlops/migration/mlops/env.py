"""Alembic environment of the plugin's own tables; run by ``ckan db upgrade``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import context
from ckan.model.meta import metadata
from sqlalchemy import engine_from_config, pool

import ckanext.mlops.model  # noqa: F401  registers the tables for `ckan generate migration`

NAME = Path(__file__).parent.name


def include_object(_object: Any, name: str, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    """Only this plugin's tables."""
    return kind != "table" or name.startswith(f"{NAME}_")


def run() -> None:
    """Apply the migrations to the database that CKAN hands over."""
    section = context.config.get_section(context.config.config_ini_section) or {}
    options: dict[str, Any] = {
        "target_metadata": metadata,
        "version_table": f"{NAME}_alembic_version",
        "include_object": include_object,
    }
    if context.is_offline_mode():
        context.configure(url=section["sqlalchemy.url"], literal_binds=True, **options)
        with context.begin_transaction():
            context.run_migrations()
        return
    engine = engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, **options)
        with context.begin_transaction():
            context.run_migrations()


run()
