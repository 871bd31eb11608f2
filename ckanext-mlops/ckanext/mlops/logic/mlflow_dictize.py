"""MLflow rows as the JSON values that actions answer. Addresses of pages come from the configuration, never from rows
or requests, and hold no credential."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from ckan.plugins import toolkit as tk

from ckanext.mlops.core import mlflow as reader
from ckanext.mlops.core.naming import repository_key
from ckanext.mlops.model import (
    Experiment,
    Link,
    LinkHint,
    LoggedModel,
    ModelVersion,
    RegisteredModel,
    Run,
    ServerState,
)
from ckanext.mlops.tracking import servers as mlflow_servers

SYSTEM_TAG = "mlflow."


class Servers:
    """What is known, without asking them, about the servers that an answer mentions."""

    def __init__(self, names: Iterable[str], states: Mapping[str, ServerState], now: datetime.datetime) -> None:
        self._servers = {name: mlflow_servers.find(name) for name in set(names)}
        self._states, self._now = states, now
        self._patience = datetime.timedelta(hours=float(tk.config["ckanext.mlops.mlflow.stale_after"]))

    def experiment_page(self, server: str, experiment_id: str) -> str | None:
        """Address of the experiment for a browser; None for a server that is no longer configured."""
        found = self._servers.get(server)
        return (reader.experiment_page(found, experiment_id) or None) if found else None

    def run_page(self, server: str, experiment_id: str, run_id: str) -> str | None:
        """Address of the run for a browser; None for a server that is no longer configured."""
        found = self._servers.get(server)
        return (reader.run_page(found, reader.Run(run_id, experiment_id)) or None) if found else None

    def model_page(self, server: str, name: str, version: str = "") -> str | None:
        """Address of the registered model for a browser; None for a server that has none."""
        found = self._servers.get(server)
        return (reader.model_page(found, name, version) or None) if found else None

    def stale(self, server: str, facts_at: datetime.datetime | None) -> str:
        """Why the copied facts may be out of date: ``not configured``, ``away``, ``never copied``, ``old``, nothing."""
        state = self._states.get(server)
        if self._servers.get(server) is None:
            return "not configured"
        if state and state.error:
            return "away"
        if facts_at is None:
            return "never copied"
        return "old" if self._now - facts_at > self._patience else ""


def experiment_dict(row: Experiment) -> dict[str, Any]:
    """An experiment's copied facts."""
    return {
        "experiment_id": row.experiment_id,
        "name": row.name,
        "lifecycle_stage": row.lifecycle_stage,
        "created": row.facts.get("created", ""),
        "tags": _own_tags(row.facts.get("tags")),
        "all_runs_copied": row.swept is not None,
    }


def run_dict(row: Run, servers: Servers) -> dict[str, Any]:
    """A run's copied facts; of its tags those that MLflow did not set by itself."""
    facts = row.facts
    tags = facts.get("tags") or {}
    duration = (row.ended - row.started).total_seconds() if row.started and row.ended else None
    return {
        "server": row.server,
        "run_id": row.run_id,
        "experiment_id": row.experiment_id,
        "name": row.name,
        "status": row.status,
        "lifecycle_stage": row.lifecycle_stage,
        "started": iso(row.started),
        "ended": iso(row.ended),
        "duration": duration,
        "user": facts.get("user", ""),
        "git_commit": row.git_commit,
        "git_branch": tags.get("mlflow.source.git.branch", ""),
        "git_repository": _repository(tags.get("mlflow.source.git.repoURL", "")),
        "source_name": tags.get("mlflow.source.name", "").replace("\\", "/").rsplit("/", 1)[-1],
        "params": facts.get("params") or {},
        "metrics": facts.get("metrics") or {},
        "tags": _own_tags(tags),
        "inputs": facts.get("inputs") or [],
        "model_ids": facts.get("model_ids") or [],
        "facts_at": iso(row.facts_at),
        "page": servers.run_page(row.server, row.experiment_id, row.run_id),
    }


def link_dict(link: Link) -> dict[str, Any]:
    """A stored link alone."""
    return {
        "id": link.id,
        "package_id": link.package_id,
        "version": link.version_id,
        "resource": link.resource_id,
        "server": link.server,
        "kind": link.kind,
        "target": link.target,
        "relation": link.relation,
        "note": link.note,
        "origin": link.origin,
        "evidence": link.evidence,
        "user_id": link.user_id,
        "created": iso(link.created),
    }


def hint_dict(hint: LinkHint) -> dict[str, Any]:
    """A hint alone: like a link, with its ``state`` in place of an origin."""
    return {
        "id": hint.id,
        "package_id": hint.package_id,
        "server": hint.server,
        "kind": hint.kind,
        "target": hint.target,
        "relation": hint.relation,
        "state": hint.state,
        "evidence": hint.evidence,
        "created": iso(hint.created),
    }


def model_dict(row: RegisteredModel, servers: Servers) -> dict[str, Any]:
    """A registered model's copied facts."""
    facts = row.facts
    return {
        "server": row.server,
        "name": row.name,
        "description": facts.get("description", ""),
        "tags": _own_tags(facts.get("tags")),
        "aliases": facts.get("aliases") or {},
        "lifecycle_stage": row.lifecycle_stage,
        "updated": iso(row.updated),
        "facts_at": iso(row.facts_at),
        "page": servers.model_page(row.server, row.name),
    }


def model_version_dict(row: ModelVersion, servers: Servers) -> dict[str, Any]:
    """A model version's copied facts."""
    facts = row.facts
    return {
        "server": row.server,
        "name": row.name,
        "version": row.version,
        "aliases": row.aliases,
        "stage": facts.get("stage", ""),
        "status": facts.get("status", ""),
        "description": facts.get("description", ""),
        "tags": _own_tags(facts.get("tags")),
        "run_id": row.run_id,
        "model_id": row.model_id,
        "lifecycle_stage": row.lifecycle_stage,
        "created": iso(row.created),
        "facts_at": iso(row.facts_at),
        "page": servers.model_page(row.server, row.name, row.version),
    }


def logged_model_dict(row: LoggedModel) -> dict[str, Any]:
    """A logged model's copied facts."""
    return {
        "server": row.server,
        "model_id": row.model_id,
        "name": row.name,
        "run_id": row.run_id,
        "experiment_id": row.experiment_id,
        "metrics": row.facts.get("metrics") or [],
        "lifecycle_stage": row.lifecycle_stage,
        "created": iso(row.created),
        "facts_at": iso(row.facts_at),
    }


def tie_dict(link: Link, labels: Mapping[str, str]) -> dict[str, Any]:
    """What ties a run to a dataset, and why that is believed; ``labels`` are the names of versions, by id."""
    return {
        "id": link.id,
        "kind": link.kind,
        "relation": link.relation,
        "origin": link.origin,
        "version": link.version_id,
        "version_label": labels.get(link.version_id or "", ""),
        "note": link.note,
        "evidence": named_choices(link.evidence, labels),
        "created": iso(link.created),
    }


def named_choices(evidence: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """Evidence, and what was found beside it, with the names of the versions that it may be."""
    answer = dict(evidence)
    if evidence.get("choices"):
        answer["choices"] = [
            {**each, "label": labels.get(each.get("version") or "", (each.get("commit") or "")[:8])}
            for each in evidence["choices"]
        ]
    if evidence.get("found"):
        answer["found"] = named_choices(evidence["found"], labels)
    return answer


def iso(moment: datetime.datetime | None) -> str | None:
    """As CKAN writes dates: ISO 8601, UTC, without zone."""
    return moment.isoformat() if moment else None


def _own_tags(tags: Any) -> dict[str, str]:
    return {key: value for key, value in (tags or {}).items() if not key.startswith(SYSTEM_TAG)}


def _repository(url: str) -> str:
    """The repository for people (``github.com/o/r``); nothing for a path of the training machine's disk."""
    key = repository_key(url) if url else ""
    return "" if key.startswith("file:") else key
