"""Who took or asked for which data: rows of ``mlops_audit``, and a line in this module's log."""

from __future__ import annotations

import json
import logging
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.model.types import make_uuid
from ckan.plugins import toolkit as tk
from flask import request

from ckanext.mlops.logic.files import At
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.model.transfers import Audit

log = logging.getLogger("ckanext.mlops.transfers.audit")


def record(event: str, package_id: str, details: dict[str, Any], user_id: str | None = None) -> None:
    """Add an entry in the caller's transaction."""
    user = user_id if user_id is not None else _user()
    row = {"id": make_uuid(), "at": utc_now(), "event": event, "user_id": user, "package_id": package_id}
    model.Session.execute(sa.insert(Audit), row | {"details": details})
    log.info("%s", json.dumps({"event": event, "user": user, "package": package_id, **details}, default=str))


def download(there: At, path: str, kind: str, size: int | None = None) -> None:
    """Somebody takes a file; written at once. A download that is resumed is one."""
    if request.method == "HEAD":
        return
    version = there.version.id if there.version is not None else ""
    record("download", there.package["id"], {"path": path, "version": version, "kind": kind, "size": size})
    model.Session.commit()


def missing(there: At, path: str) -> None:
    """Somebody asked for what is not there."""
    log.info("missing: %s %s", there.package["id"], path)


def _user() -> str | None:
    user = tk.current_user
    return str(user.id) if user and user.is_authenticated else None
