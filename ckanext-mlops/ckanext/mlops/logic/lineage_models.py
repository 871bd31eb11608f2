"""What is known of the runs and models of a lineage graph, from the copied facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ckanext.mlops.logic.mlflow_dictize import Servers, iso
from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.model import mlflow, mlflow_models
from ckanext.mlops.model.nodes import MODELS, kind_of, parts
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.model.tracking import Tracking

MAX_VALUES = 50


class Tracked:
    """Nodes that are MLflow's.

    Anybody can name a model in ``derived_from``: what the server says of one is told only where a dataset that the
    reader may see is linked to it, or to what it came from.
    """

    def __init__(self, reader: Reader, places: Iterable[str]) -> None:
        session, keys = reader.session, [key for key in places if kind_of(key) in ("run", *MODELS)]
        of = {kind: [parts(key) for key in keys if kind_of(key) == kind] for kind in ("run", *MODELS)}
        runs = [(each[0], each[1]) for each in of["run"] if len(each) == 2]
        self.runs = mlflow.runs(session, runs)
        self.models = mlflow_models.model_versions(
            session, [(each[0], each[1], each[2]) for each in of["model"] if len(each) == 3]
        )
        self.logged = mlflow_models.logged_models(session, [(each[0], each[1]) for each in of["logged_model"]])
        self.registered = mlflow_models.registered_models(
            session, [(each[0], each[1]) for each in of["registered_model"]]
        )
        experiments = {(row.server, row.experiment_id) for row in self.runs.values()}
        experiments |= {(row.server, row.experiment_id) for row in self.logged.values()}
        self.experiments = mlflow.experiments(session, experiments)
        behind = Tracking(session, None).behind(key for key in keys if kind_of(key) in MODELS)
        visible = reader.look(sorted(set().union(*behind.values()))).visible if behind else frozenset()
        self.told = {key for key, datasets in behind.items() if not datasets.isdisjoint(visible)}
        names = {parts(key)[0] for key in keys}
        self.servers = Servers(names, mlflow.states(session, names), utc_now())

    def node(self, key: str, kind: str) -> dict[str, Any]:
        """What the node has besides its id, kind and place."""
        each = parts(key)
        make: Any = {
            "run": self._run,
            "model": self._version,
            "logged_model": self._logged,
            "registered_model": self._registered,
        }[kind]
        found: dict[str, Any] = make(key, *each)
        return {"server": each[0]} | found

    def _run(self, _key: str, server: str, run_id: str) -> dict[str, Any]:
        row = self.runs.get((server, run_id))
        node = {"role": "run", "name": run_id, "title": run_id[:12], "url": "", "run_id": run_id}
        if row is None:
            return node | {"experiment": "", "status": "", "started": None, "commit": "", "params": {}, "metrics": {}}
        return node | {
            "title": row.name or run_id[:12],
            "url": self.servers.run_page(server, row.experiment_id, run_id) or "",
            "experiment": self._experiment(server, row.experiment_id),
            "status": row.status,
            "started": iso(row.started),
            "commit": row.git_commit or "",
            "params": some(row.facts.get("params") or {}),
            "metrics": some(row.facts.get("metrics") or {}),
        }

    def _version(self, key: str, server: str, name: str, version: str) -> dict[str, Any]:
        row = self.models.get((server, name, version)) if key in self.told else None
        return {
            "role": "model",
            "name": f"{name}/{version}",
            "title": f"{name} {version}",
            "url": (self.servers.model_page(server, name, version) or "") if row else "",
            "model": name,
            "model_version": version,
            "aliases": list(row.aliases or ()) if row else [],
            "created": iso(row.created) if row else None,
            "known": row is not None,
        }

    def _registered(self, key: str, server: str, name: str) -> dict[str, Any]:
        row = self.registered.get((server, name)) if key in self.told else None
        aliases = (row.facts.get("aliases") or {}) if row else {}
        return {
            "role": "registered_model",
            "name": name,
            "title": name,
            "url": (self.servers.model_page(server, name) or "") if row else "",
            "model": name,
            "aliases": sorted(aliases),
            "created": None,
            "known": row is not None,
        }

    def _logged(self, key: str, server: str, model_id: str) -> dict[str, Any]:
        row = self.logged.get((server, model_id)) if key in self.told else None
        return {
            "role": "logged_model",
            "name": model_id,
            "title": (row.name if row else "") or model_id,
            "url": "",
            "model_id": model_id,
            "experiment": self._experiment(server, row.experiment_id) if row else "",
            "aliases": [],
            "created": iso(row.created) if row else None,
            "known": row is not None,
        }

    def _experiment(self, server: str, experiment_id: str) -> str:
        row = self.experiments.get((server, experiment_id))
        return row.name if row else ""


def some(values: Mapping[str, Any]) -> dict[str, Any]:
    """The first of many params or metrics."""
    return dict(list(values.items())[:MAX_VALUES])
