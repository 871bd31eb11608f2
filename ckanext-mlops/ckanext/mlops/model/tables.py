"""The tables of ckanext-mlops. ``package_id`` columns are no foreign keys: CKAN purges packages on its own, and rows
must be written in the transaction that creates the package. Purged packages are cleaned up by the plugin."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from ckan.plugins import toolkit as tk
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column


def utc_now() -> datetime.datetime:
    """Now, as CKAN stores it: naive UTC."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


class Version(tk.BaseModel):
    """One distinct state of a dataset: hashes of outputs and dependencies, command, params and metrics.

    ``id`` is :func:`naming.version_id`, ``digest`` the state's. ``refs`` lists the branches and tags that show this
    state, ``[{"name": "baseline", "kind": "tag", "commit": "…"}, {"name": "main", "kind": "branch"}]``: where a branch
    is, :class:`Revision` says. It is empty when none does any more. ``facts`` is
    the stage record (``records.to_dict(Stage)``). ``position`` orders a dataset's versions, newest first = highest.
    """

    __tablename__ = "mlops_version"
    __table_args__ = (
        sa.Index("ix_mlops_version_package", "package_id", "position"),
        sa.Index(
            "ix_mlops_version_hashes",
            sa.text("jsonb_path_query_array(facts, '$.outs[*].hash')"),
            postgresql_using="gin",
        ),
    )

    id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    package_id: Mapped[str] = mapped_column(sa.UnicodeText)
    digest: Mapped[str] = mapped_column(sa.UnicodeText)
    commit: Mapped[str] = mapped_column(sa.UnicodeText)
    committed: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    author: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    message: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    refs: Mapped[list[dict[str, str]]] = mapped_column(JSONB, default=list)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    current: Mapped[bool] = mapped_column(default=False)
    position: Mapped[int] = mapped_column(default=0)
    first_seen: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)
    last_seen: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)


class Revision(tk.BaseModel):
    """A branch, tag, experiment or commit that a harvest source showed at its last harvest; see :mod:`catalog.history`.

    ``repository`` is :func:`naming.repository_slug`. ``position`` orders a source's revisions, newest = highest.
    """

    __tablename__ = "mlops_revision"
    __table_args__ = (sa.Index("ix_mlops_revision_repository", "repository", "position"),)

    source_id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    name: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    repository: Mapped[str] = mapped_column(sa.UnicodeText)
    commit: Mapped[str] = mapped_column(sa.UnicodeText)
    committed: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    author: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    message: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    note: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    position: Mapped[int] = mapped_column(default=0)
    metrics: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    params: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    plots: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list)


class Edge(tk.BaseModel):
    """One lineage edge: ``downstream_dataset`` was made from an upstream dataset or outside source.

    Exactly one of ``upstream_dataset`` and ``upstream_uri`` is set. ``origin`` keeps three kinds apart: ``harvested``
    (the repository says so), ``inferred`` (equal content) and ``asserted`` (a person says so). Harvested edges belong
    to a version; ``current`` says that it is the dataset's current one. Asserted edges have no version and are
    current. ``id`` is computed from the other key columns, so writing an edge twice is one edge.
    """

    __tablename__ = "mlops_edge"
    __table_args__ = (
        sa.CheckConstraint("(upstream_dataset IS NULL) <> (upstream_uri IS NULL)", name="ck_mlops_edge_one_upstream"),
        sa.Index("ix_mlops_edge_downstream", "downstream_dataset", "current"),
        sa.Index("ix_mlops_edge_upstream", "upstream_dataset", "current"),
        sa.Index("ix_mlops_edge_uri", "upstream_uri"),
        sa.Index("ix_mlops_edge_version", "version_id"),
        sa.Index("ix_mlops_edge_inferred", "hash", postgresql_where=sa.text("origin = 'inferred'")),
    )

    id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    downstream_dataset: Mapped[str] = mapped_column(sa.UnicodeText)
    upstream_dataset: Mapped[str | None] = mapped_column(sa.UnicodeText)
    upstream_resource: Mapped[str | None] = mapped_column(sa.UnicodeText)
    upstream_uri: Mapped[str | None] = mapped_column(sa.UnicodeText)
    upstream_label: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    path: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    hash: Mapped[str | None] = mapped_column(sa.UnicodeText)
    origin: Mapped[str] = mapped_column(sa.UnicodeText)
    evidence: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    version_id: Mapped[str | None] = mapped_column(sa.UnicodeText)
    current: Mapped[bool] = mapped_column(default=True)
    first_seen: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)
    last_seen: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)


class FileHash(tk.BaseModel):
    """A hash of a file of a dataset; see :mod:`ckanext.mlops.model.hashes`.

    ``side`` is ``out`` (the dataset has the file) or ``dep`` (its stage reads it, and no stage of its repository wrote
    it). ``made``: a command wrote it. ``versions`` have it; without a repository there are none. ``settled`` is False
    until the edges that follow from it are written.
    """

    __tablename__ = "mlops_file_hash"
    __table_args__ = (
        sa.Index("ix_mlops_file_hash_hash", "hash"),
        sa.Index("ix_mlops_file_hash_unsettled", "hash", postgresql_where=sa.text("NOT settled")),
    )

    package_id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    side: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    path: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    hash: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    algorithm: Mapped[str] = mapped_column(sa.UnicodeText)
    size: Mapped[int | None] = mapped_column(sa.BigInteger)
    resource_id: Mapped[str | None] = mapped_column(sa.UnicodeText)
    harvested: Mapped[bool] = mapped_column(default=True)
    made: Mapped[bool] = mapped_column(default=False)
    versions: Mapped[list[str]] = mapped_column(ARRAY(sa.UnicodeText), default=list)
    current: Mapped[bool] = mapped_column(default=False)
    since: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    settled: Mapped[bool] = mapped_column(default=False)


class Unindexed(tk.BaseModel):
    """A dataset whose entry in the search index is behind the tables; see :mod:`ckanext.mlops.search.overdue`."""

    __tablename__ = "mlops_unindexed"

    package_id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    noted: Mapped[datetime.datetime] = mapped_column(sa.DateTime)


class ServerState(tk.BaseModel):
    """How the last contact with an MLflow server went: ``error`` is empty when it answered at ``checked``.

    ``registry_at`` is when its registered models were last read, ``synced`` when a sync last began that came to its
    end, ``wanted`` when somebody (a webhook) last asked for one.
    """

    __tablename__ = "mlops_server"

    name: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    checked: Mapped[datetime.datetime] = mapped_column(sa.DateTime)
    answered: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    error: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    registry_at: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    synced: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    wanted: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)


class Experiment(tk.BaseModel):
    """Facts of an MLflow experiment, copied at ``facts_at`` from the server that the configuration names.

    ``swept`` is when all its runs were last read; None when only the newest were copied so far. Between sweeps,
    ``facts_at`` is when the new and unfinished ones were last read. ``sweep_began`` and ``sweep_from`` are where a
    sweep that was broken off goes on: its begin, and the start time (milliseconds) of the last run that was written.
    """

    __tablename__ = "mlops_experiment"
    __table_args__ = (sa.Index("ix_mlops_experiment_name", "server", "name"),)

    server: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    experiment_id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    name: Mapped[str] = mapped_column(sa.UnicodeText)
    lifecycle_stage: Mapped[str] = mapped_column(sa.UnicodeText, default="active")
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    facts_at: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)
    swept: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    sweep_began: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    sweep_from: Mapped[int | None] = mapped_column(sa.BigInteger)


class Run(tk.BaseModel):
    """Facts of an MLflow run (``records.to_dict`` of the reader's Run), copied at ``facts_at``.

    ``lifecycle_stage``: ``active``; ``deleted`` (MLflow can restore it); ``gone`` (the server no longer knows it).
    ``hashes`` and ``sources`` are what :mod:`ckanext.mlops.core.mlflow_clues` finds in it. ``changed`` is when facts
    were copied that differed from those before.
    """

    __tablename__ = "mlops_run"
    __table_args__ = (
        sa.Index("ix_mlops_run_experiment", "server", "experiment_id", "started"),
        sa.Index("ix_mlops_run_hashes", "hashes", postgresql_using="gin"),
        sa.Index("ix_mlops_run_sources", "sources", postgresql_using="gin"),
        sa.Index("ix_mlops_run_changed", "server", "changed"),
    )

    server: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    run_id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    experiment_id: Mapped[str] = mapped_column(sa.UnicodeText)
    name: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    status: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    started: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    ended: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    git_commit: Mapped[str | None] = mapped_column(sa.UnicodeText, index=True)
    lifecycle_stage: Mapped[str] = mapped_column(sa.UnicodeText, default="active")
    hashes: Mapped[list[str]] = mapped_column(ARRAY(sa.UnicodeText), default=list)
    sources: Mapped[list[str]] = mapped_column(ARRAY(sa.UnicodeText), default=list)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    facts_at: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)
    changed: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)


class RegisteredModel(tk.BaseModel):
    """A name in a server's model registry; ``facts`` is the reader's record, with its tags and aliases.

    ``lifecycle_stage`` is ``active`` or ``gone``: MLflow cannot restore a registered model, or a version of one.
    """

    __tablename__ = "mlops_registered_model"

    server: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    name: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    lifecycle_stage: Mapped[str] = mapped_column(sa.UnicodeText, default="active")
    updated: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    facts_at: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)


class ModelVersion(tk.BaseModel):
    """A version of a registered model; ``facts`` is the reader's record.

    ``run_id`` is the run that made it, also where only its logged model (``model_id``) names that run; each is None
    when nobody says. ``number`` is the version as a number, to sort by.
    """

    __tablename__ = "mlops_model_version"
    __table_args__ = (
        sa.Index("ix_mlops_model_version_run", "server", "run_id"),
        sa.Index("ix_mlops_model_version_logged", "server", "model_id"),
    )

    server: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    name: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    version: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    number: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    run_id: Mapped[str | None] = mapped_column(sa.UnicodeText)
    model_id: Mapped[str | None] = mapped_column(sa.UnicodeText)
    aliases: Mapped[list[str]] = mapped_column(ARRAY(sa.UnicodeText), default=list)
    lifecycle_stage: Mapped[str] = mapped_column(sa.UnicodeText, default="active")
    created: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    updated: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    facts_at: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)


class LoggedModel(tk.BaseModel):
    """A model that a run logged (MLflow 3), registered or not; ``facts`` is the reader's record."""

    __tablename__ = "mlops_logged_model"
    __table_args__ = (
        sa.Index("ix_mlops_logged_model_run", "server", "run_id"),
        sa.Index("ix_mlops_logged_model_experiment", "server", "experiment_id"),
    )

    server: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    model_id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    experiment_id: Mapped[str] = mapped_column(sa.UnicodeText)
    run_id: Mapped[str | None] = mapped_column(sa.UnicodeText)
    name: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    lifecycle_stage: Mapped[str] = mapped_column(sa.UnicodeText, default="active")
    created: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    updated: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    facts_at: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)


class Link(tk.BaseModel):
    """A dataset (optionally one version or resource) tied to something of MLflow, and why that is believed.

    ``target`` is the id of an ``experiment``, ``run`` or ``logged_model`` on ``server``, the name of a
    ``registered_model``, or ``NAME/VERSION`` of a ``model_version``. One link exists per (package, server, kind,
    target, relation). ``origin``: ``asserted`` (by ``user_id``) or ``inferred`` (by ``evidence``, which is
    :class:`ckanext.mlops.core.matches.Match`; an asserted link keeps in ``evidence["found"]`` what was found later).
    """

    __tablename__ = "mlops_link"
    __table_args__ = (
        sa.UniqueConstraint("package_id", "server", "kind", "target", "relation", name="uq_mlops_link"),
        sa.Index("ix_mlops_link_target", "server", "kind", "target"),
    )

    id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    package_id: Mapped[str] = mapped_column(sa.UnicodeText)
    version_id: Mapped[str | None] = mapped_column(sa.UnicodeText)
    resource_id: Mapped[str | None] = mapped_column(sa.UnicodeText)
    server: Mapped[str] = mapped_column(sa.UnicodeText)
    kind: Mapped[str] = mapped_column(sa.UnicodeText)
    target: Mapped[str] = mapped_column(sa.UnicodeText)
    relation: Mapped[str] = mapped_column(sa.UnicodeText)
    note: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    origin: Mapped[str] = mapped_column(sa.UnicodeText, default="asserted")
    evidence: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    user_id: Mapped[str | None] = mapped_column(sa.UnicodeText)
    created: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)


class LinkHint(tk.BaseModel):
    """What is not a link: the same columns as :class:`Link`, and why it is none.

    ``state``: ``candidate`` (evidence leads to several datasets), ``suggestion`` (a name says so) or ``dismissed`` (a
    person removed or refused it: nothing infers it again). ``id`` is that of the link that it would be.
    """

    __tablename__ = "mlops_link_hint"
    __table_args__ = (
        sa.Index("ix_mlops_link_hint_package", "package_id", "state"),
        sa.Index("ix_mlops_link_hint_target", "server", "kind", "target"),
    )

    id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    package_id: Mapped[str] = mapped_column(sa.UnicodeText)
    server: Mapped[str] = mapped_column(sa.UnicodeText)
    kind: Mapped[str] = mapped_column(sa.UnicodeText)
    target: Mapped[str] = mapped_column(sa.UnicodeText)
    relation: Mapped[str] = mapped_column(sa.UnicodeText)
    state: Mapped[str] = mapped_column(sa.UnicodeText)
    evidence: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    user_id: Mapped[str | None] = mapped_column(sa.UnicodeText)
    created: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)


class Matched(tk.BaseModel):
    """How far the matching of runs has come: ``scope`` is ``server:NAME`` or ``source:ID``, ``mark`` what was seen."""

    __tablename__ = "mlops_matched"

    scope: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    mark: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    at: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)


class Settled(tk.BaseModel):
    """What the last complete reading of a harvest source depended on and said; see :mod:`harvesting.settled`.

    ``inputs``, ``memory`` and ``upstreams`` are digests. ``imports`` lists repositories and paths in them.
    """

    __tablename__ = "mlops_settled"

    source_id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    inputs: Mapped[str] = mapped_column(sa.UnicodeText)
    memory: Mapped[str] = mapped_column(sa.UnicodeText)
    upstreams: Mapped[str] = mapped_column(sa.UnicodeText)
    imports: Mapped[list[list[str]]] = mapped_column(JSONB, default=list)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    read_at: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)


class Plan(tk.BaseModel):
    """A harvest (``id`` of its job), a preview, or a registration (``source_id`` is whose it is), as people follow it.

    ``state``: ``waiting``, ``reading``, ``planned`` (what follows is seen from its harvest objects), ``failed``; of a
    harvest also ``rejected``, ``reverting``, ``reverted`` and ``not reverted``. ``progress`` is the last thing that was
    said about it. ``facts`` holds ``summary``, ``counts``, ``stages``, ``outputs`` and ``warnings`` of the plan, of a
    preview also ``changes`` and ``problems``, and what was decided: ``decision``, ``revert``.
    """

    __tablename__ = "mlops_plan"
    __table_args__ = (sa.Index("ix_mlops_plan_source", "source_id", "kind", "created"),)

    id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    source_id: Mapped[str] = mapped_column(sa.UnicodeText)
    kind: Mapped[str] = mapped_column(sa.UnicodeText)
    state: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    progress: Mapped[str] = mapped_column(sa.UnicodeText, default="")
    user_id: Mapped[str | None] = mapped_column(sa.UnicodeText)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    created: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)
    changed: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)
    mailed: Mapped[datetime.datetime | None] = mapped_column(sa.DateTime)


class Choice(tk.BaseModel):
    """A person took what Git says for a field that a person had edited; ``kept`` is the person's value, to go back to.

    ``resource`` is an id, ``""`` = the dataset.
    """

    __tablename__ = "mlops_choice"

    package_id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    resource: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    field: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    kept: Mapped[Any] = mapped_column(JSONB)
    git: Mapped[Any] = mapped_column(JSONB)
    user_id: Mapped[str | None] = mapped_column(sa.UnicodeText)
    created: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)


class Asked(tk.BaseModel):
    """A harvest of the source was asked for, by a webhook or a push, and no gather has begun since."""

    __tablename__ = "mlops_asked"

    source_id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    asked: Mapped[datetime.datetime] = mapped_column(sa.DateTime)


class Pushed(tk.BaseModel):
    """The records that were pushed last to a harvest source: ``content`` is gzipped JSON, ``digest`` of the JSON."""

    __tablename__ = "mlops_pushed"

    source_id: Mapped[str] = mapped_column(sa.UnicodeText, primary_key=True)
    digest: Mapped[str] = mapped_column(sa.UnicodeText)
    content: Mapped[bytes] = mapped_column(sa.LargeBinary)
    user_id: Mapped[str | None] = mapped_column(sa.UnicodeText)
    pushed: Mapped[datetime.datetime] = mapped_column(sa.DateTime, default=utc_now)
