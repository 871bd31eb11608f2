"""Which files have which hash: the table ``mlops_file_hash``, and the edges that follow from equal content.

A row is a file of a dataset with one hash of it: an output (``out``), or an input that no stage of its repository
wrote (``dep``), with the versions that have it. Where a content is known at several places, they are joined to one:
the oldest that has it; of equally old ones the one that no command made, which was there before a step copied it. Edges
lead from there to each other file that is tracked or uploaded, and to each stage that reads it, with origin
``inferred``. Empty and trivial files are left out,
and so are files whose sizes differ. A file of which two hashes are known (an upload: md5 and sha256) joins both.

Rows are written in the transaction that writes their versions; :func:`settle` concludes from all that are committed,
one process at a time, and goes on where a killed one stopped. Nothing here commits but :func:`settle`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Session

from ckanext.mlops.core import naming
from ckanext.mlops.model import lineage
from ckanext.mlops.model.lineage import texts
from ckanext.mlops.model.tables import Edge, FileHash, Version
from ckanext.mlops.model.versions import naive_utc

MIN_SIZE = 16
_SPACE = 0x6D6C6F72
_BATCH = 2000
_PARTNERS = 5
_HASH = re.compile(r"[0-9a-f]{32}(\.dir)?|[0-9a-f]{64}")
_UNSYNCHRONIZED = {"synchronize_session": False}
#: Contents that are equal everywhere and say nothing, also where no size is known.
_TRIVIAL = (b"", b"\n", b"\r\n", b"{}", b"{}\n", b"[]", b"[]\n", b"null", b"0", b"0\n", b"1", b"1\n")
TRIVIAL = frozenset(
    digest
    for text in _TRIVIAL
    for md5 in [hashlib.md5(text, usedforsecurity=False).hexdigest()]
    for digest in (md5, f"{md5}.dir", hashlib.sha256(text).hexdigest())
)


def holders(session: Session, content: str, limit: int) -> list[FileHash]:
    """The files that have the hash now or had it once, those that have it now first."""
    query = sa.select(FileHash).where(FileHash.hash == content, FileHash.side == "out")
    order = (FileHash.current.desc(), FileHash.package_id, FileHash.path)
    return list(session.scalars(query.order_by(*order).limit(limit)))


def telling(digest: str, size: Any) -> bool:
    """Whether a hash can tell a content from others."""
    known_size = isinstance(size, int) and not isinstance(size, bool)
    return bool(_HASH.fullmatch(digest)) and digest not in TRIVIAL and not (known_size and size < MIN_SIZE)


def store_harvested(
    session: Session, datasets: Mapping[str, tuple[str, Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]]
) -> None:
    """Note the files of harvested datasets: dataset id → (guid, versions, edges), as the tables have them.

    A file that is not given any more stays, but is not ``current``.
    """
    rows: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for dataset, (guid, versions, edges) in datasets.items():
        _of_dataset(rows, dataset, guid, versions, edges)
    _store(session, list(datasets), list(rows.values()), harvested=True, keep=True)


def store_uploaded(session: Session, dataset: str, files: Iterable[Mapping[str, Any]]) -> None:
    """Note the files of a dataset that no repository is behind.

    :param files: ``path`` (a name), ``hash``, ``algorithm``, ``size``, ``resource_id`` and ``since``; of one that is
        given twice (by a person, and computed) the last counts
    """
    rows = {
        (each["path"], each["hash"]): {
            **each, "package_id": dataset, "side": "out", "made": False, "versions": [], "current": True
        }
        for each in files
        if telling(str(each["hash"]), each.get("size"))
    }  # fmt: skip
    _store(session, [dataset], list(rows.values()), harvested=False, keep=False)


def delete_of_packages(session: Session, package_ids: Collection[str]) -> None:
    """Forget purged datasets; what was concluded from them is concluded anew."""
    mine = FileHash.package_id.in_(package_ids)
    gone = sa.select(FileHash.hash).where(mine)
    session.execute(
        sa.update(FileHash).where(FileHash.hash.in_(gone), ~mine).values(settled=False),
        execution_options=_UNSYNCHRONIZED,
    )
    session.execute(sa.delete(FileHash).where(mine), execution_options=_UNSYNCHRONIZED)
    session.execute(
        sa.delete(Edge).where(Edge.upstream_dataset.in_(package_ids), Edge.origin == "inferred"),
        execution_options=_UNSYNCHRONIZED,
    )


def rebuild(session: Session) -> None:
    """Note the files of all harvested datasets again, from versions and edges, and let all be concluded anew.

    An edge that is concluded again is the same edge, with the time at which it was first seen.
    """
    session.execute(sa.delete(FileHash).where(FileHash.harvested), execution_options=_UNSYNCHRONIZED)
    package = model.Package
    rows = session.execute(
        sa.select(package.id, package.extras["dvc_repository"].astext, package.extras["dvc_stage"].astext)
        .where(package.id.in_(sa.select(Version.package_id)))
        .order_by(package.id)
    ).all()
    for dataset, repository, stage in rows:
        _renew(session, dataset, naming.dataset_guid(repository or "", stage or ""))
    session.execute(sa.update(FileHash).values(settled=False), execution_options=_UNSYNCHRONIZED)
    unknown = ~sa.exists().where(FileHash.hash == Edge.hash)
    session.execute(sa.delete(Edge).where(Edge.origin == "inferred", unknown), execution_options=_UNSYNCHRONIZED)


def renew(session: Session, dataset: str) -> None:
    """Note the files of a harvested dataset again from the versions and edges that are left; the others go."""
    fields = session.scalar(sa.select(model.Package.extras).where(model.Package.id == dataset)) or {}
    guid = naming.dataset_guid(fields.get("dvc_repository") or "", fields.get("dvc_stage") or "")
    _renew(session, dataset, guid)


def _renew(session: Session, dataset: str, guid: str) -> None:
    versions = session.execute(
        sa.select(Version.id, Version.facts, Version.committed, Version.current).where(Version.package_id == dataset)
    ).mappings()
    edges = session.execute(
        sa.select(Edge.path, Edge.version_id, Edge.upstream_dataset, Edge.upstream_uri).where(
            Edge.downstream_dataset == dataset, Edge.origin == "harvested"
        )
    ).mappings()
    rows: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    _of_dataset(rows, dataset, guid, [dict(row) for row in versions], [dict(row) for row in edges])
    _store(session, [dataset], list(rows.values()), harvested=True, keep=False)


def settle(session: Session) -> int:
    """Write the edges that follow from what was noted, and commit; how many edges there are into what was looked at."""
    written = 0
    while True:
        # One at a time: two that conclude at once would not see each other's datasets.
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.literal(_SPACE, sa.Integer), 0)))
        open_ = sa.select(FileHash.hash).where(FileHash.settled.is_(False)).distinct().limit(_BATCH)
        # Marked first, read then: what another process commits meanwhile stays open.
        marked = session.scalars(
            sa.update(FileHash)
            .where(FileHash.settled.is_(False), FileHash.hash.in_(open_))
            .values(settled=True)
            .returning(FileHash.hash),
            execution_options=_UNSYNCHRONIZED,
        )
        wanted = set(marked)
        if not wanted:
            session.commit()
            return written
        rows = _with_partners(session, _telling(session, wanted))
        edges = _conclude(session, rows)
        lineage.store_inferred(session, {row.hash for row in rows} | wanted, edges)
        session.commit()
        written += len(edges)


def _telling(session: Session, hashes: set[str]) -> set[str]:
    """Those from which edges can follow: known in several datasets, and not written by commands in all of them."""
    made = sa.and_(FileHash.side == "out", FileHash.made)
    several = sa.func.min(FileHash.package_id) != sa.func.max(FileHash.package_id)
    uploaded = sa.func.bool_or(FileHash.harvested.is_(False))
    return set(
        session.scalars(
            sa.select(FileHash.hash)
            .where(FileHash.hash == sa.any_(texts(hashes)))
            .group_by(FileHash.hash)
            .having(sa.or_(uploaded, sa.and_(several, sa.func.bool_or(sa.not_(made)))))
        )
    )


def _of_dataset(
    rows: dict[tuple[str, str, str, str], dict[str, Any]],
    dataset: str,
    guid: str,
    versions: Iterable[Mapping[str, Any]],
    edges: Iterable[Mapping[str, Any]],
) -> None:
    # Resources of a dataset that a person registered have ids of CKAN's, which nothing here tells.
    computed = naming.package_id(guid) == dataset
    inside: dict[str, set[str]] = {}
    for edge in edges:
        if edge.get("upstream_dataset"):
            inside.setdefault(str(edge.get("version_id")), set()).add(str(edge.get("path")))
    for version in versions:
        facts = version["facts"]
        known = inside.get(version["id"], set())
        found = [("out", out) for out in facts.get("outs") or ()]
        found += [
            ("dep", dep)
            for dep in facts.get("deps") or ()
            if dep.get("kind", "path") == "path" and dep.get("path") not in known
        ]
        for side, each in found:
            path, digest = str(each.get("path") or ""), str(each.get("hash") or "")
            if not telling(digest, each.get("size")):
                continue
            row = rows.setdefault(
                (dataset, side, path, digest),
                {
                    "package_id": dataset,
                    "side": side,
                    "path": path,
                    "hash": digest,
                    "algorithm": "sha256" if len(digest) == 64 else "md5",
                    "size": each.get("size"),
                    "resource_id": naming.resource_id(guid, path) if side == "out" and computed else None,
                    "made": bool(facts.get("command")),
                    "versions": [],
                    "current": False,
                    "since": None,
                },
            )
            row["versions"].append(version["id"])
            row["current"] = row["current"] or bool(version["current"])
            moment = naive_utc(version.get("committed"))
            if moment is not None:
                row["since"] = min(row["since"] or moment.isoformat(), moment.isoformat())


def _store(session: Session, datasets: list[str], rows: list[dict[str, Any]], *, harvested: bool, keep: bool) -> None:
    """Make the noted files of datasets equal to ``rows``.

    :param keep: what is not given any more stays, as of the past; otherwise it goes, with what was concluded from it
    """
    table = FileHash.__table__
    key = ("package_id", "side", "path", "hash")
    given = [tuple(row[name] for name in key) for row in rows]
    known = session.execute(
        sa.select(*(table.c[name] for name in key), table.c.current, table.c.versions).where(
            table.c.package_id == sa.any_(texts(datasets)), table.c.harvested == harvested
        )
    ).all()
    before = {tuple(row[:4]): row for row in known}
    for row, each in zip(rows, given, strict=True):
        old = before.get(each)
        row["versions"] = sorted({*row["versions"], *(old.versions if old is not None and keep else ())})
        row["harvested"], row["settled"] = harvested, False
    gone = [row for each, row in before.items() if each not in set(given)]
    if gone:
        where = sa.tuple_(*(table.c[name] for name in key)).in_([tuple(row[:4]) for row in gone])
        if keep:
            still = [row for row in gone if row.current]
            if still:
                session.execute(sa.update(table).where(where, table.c.current).values(current=False, settled=False))
        else:
            hashes = {row.hash for row in gone}
            session.execute(sa.delete(table).where(where))
            session.execute(sa.update(table).where(table.c.hash == sa.any_(texts(hashes))).values(settled=False))
            session.execute(
                sa.delete(Edge.__table__).where(
                    Edge.origin == "inferred",
                    Edge.hash == sa.any_(texts(hashes)),
                    sa.or_(Edge.downstream_dataset.in_(datasets), Edge.upstream_dataset.in_(datasets)),
                )
            )
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        types = [sa.column(column.name, column.type) for column in table.columns]
        records = sa.func.jsonb_to_recordset(sa.literal(batch, JSONB)).table_valued(*types)
        statement = insert(FileHash).from_select(
            [column.name for column in table.columns], sa.select(records.render_derived(with_types=True))
        )
        new = statement.excluded
        same = sa.and_(table.c.settled, table.c.versions == new.versions, table.c.current == new.current)
        values = {name: new[name] for name in ("size", "made", "versions", "current", "since", "resource_id")}
        session.execute(statement.on_conflict_do_update(index_elements=list(key), set_={**values, "settled": same}))


def _with_partners(session: Session, hashes: set[str]) -> list[FileHash]:
    """All files with these hashes, and with the other hashes of any file of which several are known."""
    wanted, rows = set(hashes), list[FileHash]()
    for _ in range(_PARTNERS if wanted else 0):
        rows = list(session.scalars(sa.select(FileHash).where(FileHash.hash == sa.any_(texts(wanted)))))
        uploads = {row.package_id for row in rows if not row.harvested}
        more = session.execute(
            sa.select(FileHash.package_id, FileHash.path, FileHash.hash).where(
                FileHash.package_id == sa.any_(texts(uploads)), FileHash.harvested.is_(False)
            )
        ).all()
        files = {(row.package_id, row.path) for row in rows if not row.harvested}
        partners = {row.hash for row in more if (row.package_id, row.path) in files}
        if partners <= wanted:
            break
        wanted |= partners
    return rows


def _groups(rows: list[FileHash]) -> list[list[FileHash]]:
    """Files of equal content: equal hash, or joined by a file that has both hashes; sizes must not differ."""
    root: dict[str, str] = {}

    def find(digest: str) -> str:
        while root.setdefault(digest, digest) != digest:
            digest = root[digest]
        return digest

    files: dict[tuple[str, str], str] = {}
    for row in sorted(rows, key=lambda row: (row.package_id, row.path, row.hash)):
        find(row.hash)
        if not row.harvested:
            first = files.setdefault((row.package_id, row.path), row.hash)
            one, two = sorted((find(first), find(row.hash)))
            root[two] = one
    groups: dict[str, list[FileHash]] = {}
    for row in rows:
        groups.setdefault(find(row.hash), []).append(row)
    found = []
    for group in groups.values():
        sizes = {row.size for row in group if row.size is not None}
        # Without a size of its own, a file belongs where there is only one.
        found += [
            [row for row in group if row.size in ((size, None) if len(sizes) == 1 else (size,))] for size in sizes
        ]
        if not sizes:
            found.append(group)
    return found


def _conclude(session: Session, rows: list[FileHash]) -> dict[str, list[dict[str, Any]]]:
    """Dataset → the edges into it."""
    if not rows:
        return {}
    packages = {row.package_id for row in rows}
    current = set(
        session.scalars(sa.select(Version.id).where(Version.package_id == sa.any_(texts(packages)), Version.current))
    )
    told = _told(session, packages)
    edges: dict[str, list[dict[str, Any]]] = {}
    for group in _groups(rows):
        outs = [row for row in group if row.side == "out"]
        if not outs:
            continue
        origin = min(outs, key=_precedence)
        for row in group:
            if row.package_id == origin.package_id or (row.side == "out" and row.made):
                continue
            versions: list[str | None] = [*row.versions] or [None]
            for version in versions:
                if row.side == "out" and (row.package_id, version) in told:
                    continue
                edges.setdefault(row.package_id, []).append(
                    {
                        "upstream_dataset": origin.package_id,
                        "upstream_resource": origin.resource_id,
                        "upstream_label": origin.path,
                        "path": row.path,
                        "hash": row.hash,
                        "evidence": {
                            "kind": "content",
                            "algorithm": row.algorithm,
                            "size": row.size if row.size is not None else origin.size,
                            "output": origin.path,
                        },
                        "version_id": version,
                        "current": version is None or version in current,
                    }
                )
    return edges


def _precedence(row: FileHash) -> tuple[Any, ...]:
    since = row.since.isoformat() if row.since is not None else "9999"
    return (since, row.made, row.package_id, row.path)


def _told(session: Session, packages: set[str]) -> set[tuple[str, str | None]]:
    """(dataset, version) of tracked files whose source in this portal is known: they were imported."""
    rows = session.execute(
        sa.select(Edge.downstream_dataset, Edge.version_id)
        .where(
            Edge.downstream_dataset == sa.any_(texts(packages)),
            Edge.origin == "harvested",
            Edge.upstream_dataset.is_not(None),
        )
        .distinct()
    )
    return {(row[0], row[1]) for row in rows}
