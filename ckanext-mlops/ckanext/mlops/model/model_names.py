"""How people name models in ``derived_from``, as MLflow does, and which nodes these addresses mean.

``models:/NAME/VERSION``, ``models:/NAME@ALIAS`` and ``models:/MODEL_ID`` (a logged model); ``models://SERVER/…`` where
several servers have one of that name.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ckanext.mlops.model import mlflow_models
from ckanext.mlops.model.mlflow import GONE
from ckanext.mlops.model.nodes import MODEL_URI, kind_of, model_key, parts, target_key
from ckanext.mlops.model.tables import LoggedModel, ModelVersion

_Asked = tuple[str, str, str, str]


def uris(session: Session, keys: Iterable[str]) -> dict[str, str]:
    """The addresses that people may give for models, each with the node that it means."""
    models = {key: parts(key) for key in keys if kind_of(key) in ("model", "logged_model")}
    versions = [(each[0], each[1], each[2]) for each in models.values() if len(each) == 3]
    known = mlflow_models.model_versions(session, versions) if versions else {}
    found: dict[str, str] = {}
    for key, each in models.items():
        ends = ["/".join(each[1:])]
        if len(each) == 3 and (row := known.get((each[0], each[1], each[2]))) is not None:
            ends += [f"{each[1]}@{alias}" for alias in row.aliases or ()]
        found |= {f"{head}{end}": key for end in ends for head in (MODEL_URI, f"{MODEL_URI}/{each[0]}/")}
    return found


def named(session: Session, given: Iterable[str]) -> dict[str, str]:
    """Those of the addresses that mean exactly one known model, each with its node."""
    asked = {uri: each for uri in given if (each := _model_of(uri))}
    if not asked:
        return {}
    names = sorted({each[1] for each in asked.values()})
    found: dict[str, set[str]] = {uri: set() for uri in asked}
    if any(version or alias for _, _, version, alias in asked.values()):
        rows = session.scalars(
            sa.select(ModelVersion).where(ModelVersion.name.in_(names), ModelVersion.lifecycle_stage != GONE)
        )
        for row in rows:
            for uri, each in asked.items():
                if _fits(row, *each):
                    found[uri].add(model_key(row.server, row.name, row.version))
    logged = {uri: each for uri, each in asked.items() if not each[2] and not each[3]}
    query = sa.select(LoggedModel.server, LoggedModel.model_id).where(
        LoggedModel.model_id.in_(names), LoggedModel.lifecycle_stage != GONE
    )
    for server, model_id in session.execute(query) if logged else ():
        for uri, each in logged.items():
            if each[1] == model_id and each[0] in ("", server):
                found[uri].add(target_key(server, "logged_model", model_id))
    return {uri: next(iter(keys)) for uri, keys in found.items() if len(keys) == 1}


def _model_of(uri: str) -> _Asked | None:
    """(server or ``""``, name, version or ``""``, alias or ``""``).

    >>> _model_of("models:/churn/3"), _model_of("models://lab/churn@champion"), _model_of("models:/m-12")
    (('', 'churn', '3', ''), ('lab', 'churn', '', 'champion'), ('', 'm-12', '', ''))
    """
    if not uri.startswith(MODEL_URI):
        return None
    rest, server = uri.removeprefix(MODEL_URI), ""
    if rest.startswith("/"):
        server, _, rest = rest[1:].partition("/")
    version = alias = ""
    if "@" in rest:
        name, _, alias = rest.rpartition("@")
    elif "/" in rest:
        name, _, version = rest.rpartition("/")
    else:
        return (server, rest, "", "") if rest else None
    return (server, name, version, alias) if name and (version or alias) else None


def _fits(row: ModelVersion, server: str, name: str, version: str, alias: str) -> bool:
    if row.name != name or server not in ("", row.server):
        return False
    return row.version == version if version else bool(alias) and alias in (row.aliases or ())
