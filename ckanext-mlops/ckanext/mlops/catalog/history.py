"""The revisions of a repository as rows: when each was, and what it says besides its stages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ckanext.mlops.core.records import Snapshot, to_dict
from ckanext.mlops.core.tables import metric_entry

from . import text
from .versions import by_date

MAX_REVISIONS = 2000
MAX_PLOTS = 200


def revisions(snapshots: Iterable[Snapshot]) -> list[dict[str, Any]]:
    """One row for each branch, tag, experiment and commit, newest first; the columns of the revision table.

    ``metrics`` are those of the top of ``dvc.yaml``, which no stage has (``{file: {"data": …} or {"error": …}}``),
    ``params`` what the params files say (``{file: {key: value}}``), ``plots`` what is drawn, as records.

    The branches and the newest others are kept, :data:`MAX_REVISIONS` together: revisions serve people and say where a
    branch is, versions keep every state.
    """
    found = [(revision, snapshot) for snapshot in snapshots for revision in snapshot.revisions]
    found.sort(key=lambda pair: (pair[0].kind == "branch", *by_date(pair[0])), reverse=True)
    newest = sorted(found[:MAX_REVISIONS], key=lambda pair: by_date(pair[0]), reverse=True)
    said: dict[int, dict[str, Any]] = {}
    rows = []
    for position, (revision, snapshot) in enumerate(newest):
        row = {
            "kind": revision.kind,
            "name": text.line(revision.name, text.MAX_NAME),
            "commit": revision.commit,
            "committed": revision.date,
            "author": text.line(revision.author, 200),
            "message": text.paragraph(revision.message, 2000),
            "note": text.paragraph(revision.note, 2000),
            "position": len(newest) - position,
        }
        if id(snapshot) not in said:
            said[id(snapshot)] = _said(snapshot)
        rows.append(row | said[id(snapshot)])
    return rows


def _said(snapshot: Snapshot) -> dict[str, Any]:
    params: dict[str, dict[str, Any]] = {}
    for param in snapshot.params:
        params.setdefault(param.file, {})[param.key] = param.value
    return {
        "metrics": text.plain({metric.file: metric_entry(metric) for metric in snapshot.metrics}),
        "params": text.plain(params),
        "plots": text.plain([to_dict(plot) for plot in snapshot.plots[:MAX_PLOTS]]),
    }
