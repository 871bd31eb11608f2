"""The graph of files: which output was made from which, by way of the steps between them.

It is what ``dvc dag --outs`` shows. A dataset that no stage is behind has no known files: it is a node itself, and so
is an input that an edge names without saying which file it is. A stage that writes nothing is a step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONPATH
from sqlalchemy.orm import Session

from ckanext.mlops.model.closure import Look
from ckanext.mlops.model.datasetgraph import by_kind, named_models, tracked, upstream_node
from ckanext.mlops.model.lineage import rows_of, texts
from ckanext.mlops.model.moments import Moment, holds, output_of_edge, version_of
from ckanext.mlops.model.nodes import EXTERNAL, STEP, Side, dataset_of, file_key, kind_of, parts
from ckanext.mlops.model.tables import Edge, Version
from ckanext.mlops.model.tracking import Tracking

MAX_ROWS = 50_000
MAX_MORE = 5_000
_output = sa.case((Edge.upstream_resource.is_(None), None), else_=output_of_edge())


class FileGraph:
    """What leads to what, file by file, at a moment (None: now)."""

    def __init__(self, session: Session, moment: Moment | None = None, max_runs: int | None = None) -> None:
        self.session = session
        self.moment = moment
        self.holds = holds(moment)
        self.tracking = Tracking(session, moment, max_runs)
        self._files: dict[str, list[str]] = {}

    def files(self, datasets: Iterable[str]) -> dict[str, list[str]]:
        """The nodes that each of the datasets is: its files, or a step, or the dataset itself."""
        wanted = sorted(set(datasets) - self._files.keys())
        if wanted:
            given = rows_of(wanted)
            paths = sa.func.jsonb_path_query_array(Version.facts, sa.cast("$.outs[*].path", JSONPATH))
            rows = self.session.execute(
                sa.select(given.c.value, Version.id, paths.label("paths")).join_from(
                    given, Version, Version.id == version_of(self.moment, given.c.value), isouter=True
                )
            )
            for row in rows:
                keys = [file_key(row[0], path) for path in row.paths or ()]
                self._files[row[0]] = keys or [row[0] if row.id is None else STEP + row[0]]
        return {each: self._files[each] for each in datasets}

    def neighbours(self, side: Side, frontier: Sequence[str], limit: int) -> tuple[list[str], bool]:
        """See :class:`.closure.Graph`."""
        pairs, cut = self._pairs(side, frontier, limit)
        found = sorted({far for _, far in pairs}, key=lambda key: (kind_of(key) != "file", key))
        return found[:limit], cut or len(found) > limit

    def levels(self, side: Side, starts: Sequence[str], depth: int, limit: int) -> list[list[str]]:
        """See :class:`.closure.Graph`: the paths of files are put together step by step."""
        return []

    def with_more(self, side: Side, nodes: set[str], met: set[str]) -> set[str]:
        """See :class:`.closure.Graph`."""
        pairs, cut = self._pairs(side, sorted(nodes), MAX_MORE)
        return nodes if cut else {near for near, far in pairs if far not in met}

    def unseen(self, keys: Sequence[str], look: Look) -> set[str]:
        """See :class:`.closure.Graph`."""
        return self.tracking.unseen(keys, look)

    @property
    def left_out(self) -> Mapping[Side, Mapping[str, int]]:
        """See :class:`.closure.Graph`."""
        return self.tracking.left_out

    def rows_between(self, nodes: Iterable[str]) -> list[sa.Row[Any]]:
        """The edges between the datasets of the nodes, with ``upstream`` (the node that is read), at most
        :data:`MAX_ROWS`."""
        keys = set(nodes)
        datasets = {each for each in map(dataset_of, keys) if each}
        rows = self.session.execute(
            sa.select(*Edge.__table__.columns, upstream_node.label("source"), _output.label("output"))
            .where(Edge.downstream_dataset == sa.any_(texts(datasets)), self.holds)
            .order_by(Edge.downstream_dataset, upstream_node, Edge.path, Edge.id)
            .limit(MAX_ROWS)
        )
        return list(rows)

    def _pairs(self, side: Side, frontier: Sequence[str], limit: int) -> tuple[list[tuple[str, str]], bool]:
        kinds = by_kind(frontier)
        nodes: dict[str, list[str]] = {}
        for key in (*kinds["dataset"], *kinds["file"], *kinds["step"]):
            nodes.setdefault(dataset_of(key) or "", []).append(key)
        rows = self._rows(side, nodes, kinds, limit)
        pairs: list[tuple[str, str]] = []
        if side == "upstream":
            models = named_models(self.session, (row.source for row in rows))
            for row in rows:
                far = models.get(row.source) or source_key(row)
                pairs += [(near, far) for near in nodes.get(row.downstream_dataset, ())]
        else:
            targets = self.files({row.downstream_dataset for row in rows})
            for row in rows:
                source = source_key(row)
                if row.output is None:  # the dataset as a whole is read: every node of it leads there
                    readers = nodes.get(row.source) or ([source] if source in kinds["external"] else [])
                else:
                    readers = [key for key in nodes.get(row.source, ()) if key == source or kind_of(key) != "file"]
                pairs += [(near, far) for near in readers for far in targets[row.downstream_dataset]]
        kinds = {**kinds, "dataset": list(nodes)}
        for near, far in tracked(self.tracking, side, kinds):
            ends = self.files([far])[far] if kind_of(far) == "dataset" else [far]
            pairs += [(each, end) for each in nodes.get(near, [near]) for end in ends]
        return pairs, len(rows) >= limit

    def _rows(
        self, side: Side, nodes: dict[str, list[str]], kinds: dict[str, list[str]], limit: int
    ) -> list[sa.Row[Any]]:
        columns = (Edge.downstream_dataset, upstream_node.label("source"), _output.label("output"))
        query = sa.select(*columns).distinct().order_by(*columns).limit(limit)
        if side == "upstream":
            where: Any = Edge.downstream_dataset == sa.any_(texts(nodes))
        else:
            # A node that stands for its dataset is read by whatever reads any file of it.
            whole = sorted({dataset_of(key) or "" for key in (*kinds["dataset"], *kinds["step"])})
            where = sa.and_(
                Edge.upstream_dataset == sa.any_(texts(nodes)),
                sa.or_(
                    Edge.upstream_resource.is_(None),
                    Edge.upstream_dataset == sa.any_(texts(whole)),
                    (Edge.upstream_dataset + ":" + output_of_edge())
                    == sa.any_(texts(":".join(parts(key)) for key in kinds["file"])),
                ),
            )
            uris = [key.removeprefix(EXTERNAL) for key in kinds["external"]]
            if uris:
                where = sa.or_(where, Edge.upstream_uri == sa.any_(texts(uris)))
        if not nodes and not kinds["external"]:
            return []
        return list(self.session.execute(query.where(where, self.holds)))


def source_key(row: Any) -> str:
    """The node that an edge reads."""
    return str(row.source) if row.output is None else file_key(row.source, row.output)
