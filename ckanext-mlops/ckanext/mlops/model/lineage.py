"""The edge store: what is written to ``mlops_edge``. Nothing here commits; :mod:`closure` reads.

Edges are an index. Harvested ones follow from the versions, asserted ones from the field ``derived_from`` of the
packages, so :func:`rebuild` can write all of them again.
"""

from __future__ import annotations

import datetime
import json
import re
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

import sqlalchemy as sa
from ckan import model
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, Insert, insert
from sqlalchemy.orm import Session

from ckanext.mlops.catalog.weburl import import_uri
from ckanext.mlops.core import naming
from ckanext.mlops.model.tables import Edge, utc_now

Origin = Literal["harvested", "inferred", "asserted"]
HARVESTED: Origin = "harvested"
INFERRED: Origin = "inferred"
ASSERTED: Origin = "asserted"
_BATCH = 1000
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UNSYNCHRONIZED = {"synchronize_session": False}  # edges are read as rows, never held as objects
_DEFAULTS: dict[str, Any] = {
    "upstream_dataset": None,
    "upstream_resource": None,
    "upstream_uri": None,
    "upstream_label": "",
    "path": "",
    "hash": None,
    "evidence": {},
    "version_id": None,
    "current": True,
}
_REFRESHED = ("upstream_label", "hash", "evidence", "current")


def edge_id(
    downstream_dataset: str,
    *,
    origin: str,
    upstream_dataset: str | None = None,
    upstream_uri: str | None = None,
    upstream_resource: str | None = None,
    path: str = "",
    version_id: str | None = None,
) -> str:
    """Id of an edge: a version-5 UUID of what tells it from every other one."""
    key = [downstream_dataset, origin, upstream_dataset, upstream_uri, upstream_resource, path, version_id]
    return str(uuid.uuid5(naming.NAMESPACE, "edge:" + json.dumps(key)))


def store_harvested(session: Session, dataset_id: str, edges: Sequence[Mapping[str, Any]]) -> None:
    """Make the harvested edges into ``dataset_id`` equal to ``edges``; doing it twice changes nothing.

    ``edges`` holds those of all versions that are known now. Keys are the columns of :class:`Edge`; ``id``, ``origin``
    and ``downstream_dataset`` are filled in, and so are ``first_seen`` and ``last_seen`` (now). An edge that is there
    already keeps its ``first_seen``. One that is not given any more stays, but is not ``current``.

    :raises ValueError: an edge has both or none of ``upstream_dataset`` and ``upstream_uri``
    """
    _store(session, {dataset_id: edges}, HARVESTED)


def store_harvested_all(
    session: Session, datasets: Mapping[str, Sequence[Mapping[str, Any]]], now: datetime.datetime | None = None
) -> None:
    """:func:`store_harvested` for many datasets at once: dataset id → edges."""
    _store(session, datasets, HARVESTED, now)


def relink(session: Session, resources: Mapping[str, tuple[str, str]]) -> None:
    """Harvested edges from these addresses become edges from the datasets that are there now.

    :param resources: address of an import → (dataset, resource)
    """
    if not resources:
        return
    columns = (Edge.id, Edge.downstream_dataset, Edge.upstream_uri, Edge.path, Edge.version_id, Edge.current)
    found = session.execute(
        sa.select(*columns)
        .where(Edge.upstream_uri == sa.any_(texts(resources)), Edge.origin == HARVESTED)
        .order_by(Edge.id)
    ).all()
    for edge in found:
        dataset, resource = resources[edge.upstream_uri]
        key = {"upstream_dataset": dataset, "upstream_resource": resource, "upstream_uri": None}
        new = edge_id(edge.downstream_dataset, origin=HARVESTED, path=edge.path, version_id=edge.version_id, **key)
        own = sa.update(Edge).where(Edge.id == edge.id).values(id=new, **key)
        if session.scalar(sa.select(Edge.id).where(Edge.id == new)) is not None:
            session.execute(sa.delete(Edge).where(Edge.id == edge.id), execution_options=_UNSYNCHRONIZED)
            own = sa.update(Edge).where(Edge.id == new).values(current=edge.current)
        session.execute(own, execution_options=_UNSYNCHRONIZED)


def store_inferred(
    session: Session, hashes: Iterable[str], datasets: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Make the edges that were concluded from these hashes equal to those given: dataset id → edges."""
    made = [_row(dataset_id, INFERRED, edge, utc_now()) for dataset_id, edges in datasets.items() for edge in edges]
    rows = {row["id"]: row for row in made}
    session.execute(
        sa.delete(Edge).where(
            Edge.origin == INFERRED, Edge.hash == sa.any_(texts(hashes)), Edge.id != sa.all_(texts(rows))
        ),
        execution_options=_UNSYNCHRONIZED,
    )
    ids = sorted(rows)
    for start in range(0, len(ids), _BATCH):
        session.execute(_upsert([rows[each] for each in ids[start : start + _BATCH]]))


def sync_asserted(package_dict: Mapping[str, Any], session: Session | None = None) -> None:
    """Make the asserted edges into a dataset equal to its ``derived_from``.

    ``package_dict`` is the dataset as ``package_show`` gives it, or as CKAN hands it to ``after_dataset_create`` and
    ``after_dataset_update``. Entries whose origin is ``harvested`` are left out: the versions say these. So are entries
    with a name that no dataset has; :func:`rebuild` finds it when one does. An id is kept in any case: its dataset may
    be loaded or harvested later. An edge that is no longer asserted is deleted; the dataset's activity stream keeps who
    changed it. A deleted dataset keeps its edges, so that it has them when it is restored.
    """
    if package_dict.get("state") == "deleted":
        return
    _sync_asserted(session or model.Session(), package_dict["id"], derived_from(package_dict))


def delete_of_packages(session: Session, package_ids: Collection[str]) -> None:
    """Forget what purged datasets were made from.

    Edges from them stay: other datasets own them, and they hold again if one is harvested again, with the same id.
    """
    session.execute(sa.delete(Edge).where(Edge.downstream_dataset.in_(package_ids)), execution_options=_UNSYNCHRONIZED)


def unlink(session: Session, dataset_id: str, repository: str) -> None:
    """Let imports from a dataset that goes be imports from its repository again. The caller commits."""
    resources: Any = model.Resource
    paths = {
        row.id: str((row.extras or {}).get("dvc_path") or "")
        for row in session.execute(sa.select(resources.id, resources.extras).where(resources.package_id == dataset_id))
    }
    imported = sa.and_(
        Edge.upstream_dataset == dataset_id,
        Edge.downstream_dataset != dataset_id,
        Edge.origin == HARVESTED,
        Edge.evidence["kind"].astext == "import",
    )
    for edge in session.scalars(sa.select(Edge).where(imported)).all():
        uri = import_uri(repository, paths.get(edge.upstream_resource or "", "") or edge.path)
        key = {"upstream_dataset": None, "upstream_resource": None, "upstream_uri": uri}
        new = edge_id(edge.downstream_dataset, origin=edge.origin, path=edge.path, version_id=edge.version_id, **key)
        if session.get(Edge, new) is None:
            values = {"id": new, **key}
            session.execute(
                sa.update(Edge).where(Edge.id == edge.id).values(**values), execution_options=_UNSYNCHRONIZED
            )
        session.expunge(edge)


def rebuild(
    session: Session, harvested: Iterable[tuple[str, Sequence[Mapping[str, Any]]]] | None = None
) -> dict[str, int]:
    """Write the edges again: the asserted ones from all packages, the harvested ones as given.

    ``harvested`` holds each dataset's id with its edges of all versions; harvested edges of a dataset that it does not
    name are deleted. When it is None, they are left as they are. Edges of purged datasets are deleted. Returns how many
    ``datasets`` were read and how many ``edges`` there are now. The caller commits.
    """
    package = model.Package
    session.execute(
        sa.delete(Edge).where(~sa.exists().where(package.id == Edge.downstream_dataset)),
        execution_options=_UNSYNCHRONIZED,
    )
    if harvested is not None:
        known = []
        for dataset_id, edges in harvested:
            store_harvested(session, dataset_id, edges)
            known.append(dataset_id)
        session.execute(
            sa.delete(Edge).where(Edge.origin == HARVESTED, Edge.downstream_dataset != sa.all_(texts(known))),
            execution_options=_UNSYNCHRONIZED,
        )
    rows = session.execute(sa.select(package.id, package.extras["derived_from"].astext)).all()
    for dataset_id, value in rows:
        _sync_asserted(session, dataset_id, derived_from({"derived_from": value}))
    return {"datasets": len(rows), "edges": count(session)}


def count(session: Session) -> int:
    """How many edges there are."""
    return session.scalar(sa.select(sa.func.count()).select_from(Edge)) or 0


def derived_from(package_dict: Mapping[str, Any]) -> list[dict[str, str]]:
    """The entries of ``derived_from``, wherever the dict has them: a list, JSON, or JSON in the extras."""
    value: Any = package_dict.get("derived_from")
    extras = package_dict.get("extras")
    if value is None and isinstance(extras, Mapping):
        value = extras.get("derived_from")
    elif value is None:
        value = next((item.get("value") for item in extras or () if item.get("key") == "derived_from"), None)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _sync_asserted(session: Session, dataset_id: str, entries: Iterable[Mapping[str, str]]) -> None:
    asserted = [entry for entry in entries if (entry.get("origin") or ASSERTED) == ASSERTED]
    ids = _dataset_ids(session, {entry["dataset"] for entry in asserted if entry.get("dataset")})
    edges: list[dict[str, Any]] = []
    for entry in asserted:
        upstream, uri = ids.get(entry.get("dataset") or ""), entry.get("url") or ""
        label = entry.get("label") or ""
        if upstream:
            edges.append({"upstream_dataset": upstream, "upstream_label": label})
        elif uri and not entry.get("dataset"):
            edges.append({"upstream_uri": uri, "upstream_label": label})
    kept = _store(session, {dataset_id: edges}, ASSERTED) if edges else ()
    session.execute(
        sa.delete(Edge).where(
            Edge.downstream_dataset == dataset_id, Edge.origin == ASSERTED, Edge.id != sa.all_(texts(kept))
        ),
        execution_options=_UNSYNCHRONIZED,
    )


def _dataset_ids(session: Session, names: set[str]) -> dict[str, str]:
    """Ids of the datasets that ``names`` mean: ids, names, and UUIDs of datasets that may come."""
    if not names:
        return {}
    package = model.Package
    wanted = sa.or_(package.id == sa.any_(texts(names)), package.name == sa.any_(texts(names)))
    rows = session.execute(sa.select(package.id, package.name).where(wanted)).all()
    found = {row.name: row.id for row in rows} | {row.id: row.id for row in rows}
    return {name: name for name in names if _UUID.fullmatch(name)} | found


def _store(
    session: Session,
    datasets: Mapping[str, Sequence[Mapping[str, Any]]],
    origin: Origin,
    now: datetime.datetime | None = None,
) -> list[str]:
    now = now or utc_now()
    made = (_row(dataset_id, origin, edge, now) for dataset_id, edges in datasets.items() for edge in edges)
    rows = {row["id"]: row for row in made}
    ids = sorted(rows)
    session.execute(
        sa.update(Edge)
        .where(
            Edge.downstream_dataset == sa.any_(texts(datasets)),
            Edge.origin == origin,
            Edge.current,
            Edge.id != sa.all_(texts(ids)),
        )
        .values(current=False),
        execution_options=_UNSYNCHRONIZED,
    )
    for start in range(0, len(ids), _BATCH):
        session.execute(_upsert([rows[each] for each in ids[start : start + _BATCH]]))
    return ids


def _upsert(rows: list[dict[str, Any]]) -> Insert:
    """One statement for all ``rows``, sent as one JSON parameter: the driver would send them one by one."""
    table = Edge.__table__
    types = [sa.column(column.name, column.type) for column in table.columns]
    records = sa.func.jsonb_to_recordset(sa.literal(rows, JSONB)).table_valued(*types).render_derived(with_types=True)
    statement = insert(Edge).from_select([column.name for column in table.columns], sa.select(records))
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={
            **{name: statement.excluded[name] for name in _REFRESHED},
            "last_seen": sa.func.greatest(Edge.last_seen, statement.excluded.last_seen),
        },
    )


def _row(dataset_id: str, origin: Origin, edge: Mapping[str, Any], now: datetime.datetime) -> dict[str, Any]:
    row = {name: edge.get(name, default) for name, default in _DEFAULTS.items()}
    if (row["upstream_dataset"] is None) == (row["upstream_uri"] is None):
        raise ValueError(
            f"edge into {dataset_id}, path {row['path']!r}: give either upstream_dataset or upstream_uri, "
            f"not {'none' if row['upstream_uri'] is None else 'both'}"
        )
    first_seen = edge.get("first_seen") or now
    row |= {
        "downstream_dataset": dataset_id,
        "origin": origin,
        "first_seen": first_seen.isoformat(),
        "last_seen": (edge.get("last_seen") or max(now, first_seen)).isoformat(),
    }
    row["id"] = edge_id(
        dataset_id,
        origin=origin,
        upstream_dataset=row["upstream_dataset"],
        upstream_uri=row["upstream_uri"],
        upstream_resource=row["upstream_resource"],
        path=row["path"],
        version_id=row["version_id"],
    )
    return row


def rows_of(values: Iterable[str]) -> Any:
    """The values as a table of one column ``value``, one statement for any number of them."""
    table = sa.func.unnest(texts(values)).table_valued(sa.column("value", sa.UnicodeText))
    return table.render_derived(name="given")


def texts(values: Iterable[str]) -> sa.ColumnElement[Any]:
    """A ``text[]`` parameter: one statement, and one plan, for any number of values."""
    return sa.literal(sorted(values), ARRAY(sa.UnicodeText))
