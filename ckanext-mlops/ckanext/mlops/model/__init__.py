"""Own tables: what is many. All of them can be rebuilt from the catalog, the repositories and the MLflow servers,
except the links and edges that people asserted; those are in the packages (``derived_from``) or are the record itself
(:class:`Link` with origin ``asserted``)."""

from ckanext.mlops.model.tables import (
    Choice,
    Edge,
    Experiment,
    FileHash,
    Link,
    LinkHint,
    LoggedModel,
    Matched,
    ModelVersion,
    Plan,
    RegisteredModel,
    Revision,
    Run,
    ServerState,
    Unindexed,
    Version,
)

__all__ = [
    "Choice",
    "Edge",
    "Experiment",
    "FileHash",
    "Link",
    "LinkHint",
    "LoggedModel",
    "Matched",
    "ModelVersion",
    "Plan",
    "RegisteredModel",
    "Revision",
    "Run",
    "ServerState",
    "Unindexed",
    "Version",
]
