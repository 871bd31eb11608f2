"""Look at contents, in a worker: are they in their storage, and what is in them. What is known of a hash is kept."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.lib import search

from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.storage import ObjectMissing
from ckanext.mlops.model import Version, contents
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.transfers import delivery, origins, profiles
from ckanext.mlops.transfers.origins import Origin

log = logging.getLogger(__name__)
#: Contents of one dataset that one job looks at.
MAX_CONTENTS = 2000
MAX_PROFILES = 50
#: What was there is asked for again after so long; what was missing or unknown, at once.
AGAIN = datetime.timedelta(days=7)


@dataclass
class Looked:
    """How many contents were ``pushed``, ``missing``, ``unknown``, known before, and profiled."""

    pushed: int = 0
    missing: int = 0
    unknown: int = 0
    known: int = 0
    profiled: int = 0

    def __str__(self) -> str:
        return (
            f"{self.pushed} pushed, {self.missing} missing, {self.unknown} unknown, {self.known} known before, "
            f"{self.profiled} previews"
        )


def look(package_id: str, *, previews: bool = True, now: datetime.datetime | None = None) -> Looked:
    """Look at all contents of a dataset's versions, the current version first. Commits as it goes."""
    package = model.Package.get(package_id)
    result = Looked()
    repository = str((package.extras or {}).get("dvc_repository") or "") if package else ""
    if package is None or not repository:
        return result
    now = now or utc_now()
    # Plain values: the commits below would expire the rows.
    found = list(_outs(package.id, repository))
    known = {
        key: (row.state, row.checked, row.profile is not None)
        for key, row in contents.rows(package.id, [(out["path"], contents.key(out)) for out, *_ in found]).items()
    }
    package_id = str(package.id)
    profiled = 0
    for out, current, origin in found:
        key = (str(out["path"]), contents.key(out))
        state, checked, has_profile = known.get(key, ("", None, False))
        fresh = state == "pushed" and checked is not None and now - checked < AGAIN
        wants = previews and not has_profile and not out.get("is_dir") and profiled < MAX_PROFILES
        wants = wants and (current or profiles.kind_of(out["path"]) == "table")
        if fresh and not wants:
            result.known += 1
            continue
        values, opened = _presence(origin, out)
        setattr(result, values["state"], getattr(result, values["state"]) + 1)
        if wants and values["state"] == "pushed":
            try:
                values |= {"profile": _profile(out, opened), "profiled": now}
                profiled += 1
            except MlopsError as error:
                log.info("%s: %s", out["path"], error)
        contents.note(package_id, *key, checked=now, **values)
        model.Session.commit()
    result.profiled = profiled
    if profiled:
        search.rebuild(package_id)
    return result


def _outs(package_id: str, repository: str) -> Iterable[tuple[dict[str, Any], bool, Origin]]:
    """(output, whether it is the current version's, origin), each content once."""
    address = Version.facts["address"].astext.label("address")
    columns = (Version.id, Version.package_id, Version.digest, Version.current, Version.facts["outs"].label("outs"))
    rows = model.Session.execute(
        sa.select(*columns, address)
        .where(Version.package_id == package_id)
        .order_by(Version.current.desc(), Version.position.desc())
    ).all()
    proven = origins.of_all(model.Session(), repository, [(row, row.address or "") for row in rows])
    seen: set[tuple[str, str]] = set()
    for row in rows:
        for out in row.outs or ():
            key = (str(out.get("path")), contents.key(out))
            if key not in seen and out.get("path") and key[1] and len(seen) < MAX_CONTENTS:
                seen.add(key)
                yield out, row.current, proven[row.id]


def _presence(origin: Origin, out: Mapping[str, Any]) -> tuple[dict[str, Any], delivery.Opened | None]:
    try:
        opened = delivery.open_out(origin, dict(out), members=False)
        if opened.content is None:
            return {"state": "unknown", "detail": "It lies openly on the web; this portal does not look there."}, None
        opened.content.stat()
    except ObjectMissing as error:
        return {"state": "missing", "detail": str(error)}, None
    except MlopsError as error:
        return {"state": "unknown", "detail": str(error)}, None
    return {"state": "pushed", "detail": ""}, opened


def _profile(out: Mapping[str, Any], opened: delivery.Opened | None) -> dict[str, Any]:
    limit = profiles.wanted(str(out["path"]))
    if opened is None or opened.content is None:
        return {"kind": "none"}
    size = opened.content.stat().size
    data = b"".join(opened.content.read(0, min(limit, size))) if limit and size else b""
    return profiles.profile(str(out["path"]), data, size)
