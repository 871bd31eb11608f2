"""Names of the nodes of lineage graphs.

A dataset is its id. The others say what they are: ``external:URI`` (an outside source), ``file:DATASET:PATH``,
``step:DATASET`` (the stage behind a dataset), and of MLflow ``run:SERVER:ID``, ``logged_model:SERVER:ID``,
``registered_model:SERVER:NAME`` and ``model:SERVER:NAME:VERSION`` (a version of it), all parts percent-encoded.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote, unquote

Side = Literal["upstream", "downstream"]
Kind = Literal["dataset", "external", "file", "step", "run", "logged_model", "registered_model", "model"]
EXTERNAL, FILE, STEP, RUN, MODEL = "external:", "file:", "step:", "run:", "model:"
KINDS: tuple[Kind, ...] = ("dataset", "external", "file", "step", "run", "logged_model", "registered_model", "model")
#: Nodes that are a model in some form: a registered one, a version of it, or one that a run logged.
MODELS: tuple[Kind, ...] = ("model", "registered_model", "logged_model")
#: How MLflow writes a version of a registered model, and we an asserted edge from one.
MODEL_URI = "models:/"


def kind_of(key: str) -> Kind:
    """What a node is.

    >>> kind_of("run:lab:0123"), kind_of("8c1f")
    ('run', 'dataset')
    """
    if ":" not in key:
        return "dataset"
    head = key.partition(":")[0]
    return next((kind for kind in KINDS[1:] if kind == head), "dataset")


def file_key(dataset: str, path: str) -> str:
    """A file (output) of a dataset."""
    return f"{FILE}{dataset}:{path}"


def run_key(server: str, run_id: str) -> str:
    """An MLflow run."""
    return f"{RUN}{quote(server, safe='')}:{quote(run_id, safe='')}"


def model_key(server: str, name: str, version: str) -> str:
    """A version of a registered model."""
    return MODEL + ":".join(quote(each, safe="") for each in (server, name, version))


def target_key(server: str, kind: str, target: str) -> str:
    """What a link leads to: its server, kind and target as a node.

    >>> target_key("lab", "model_version", "my model/3")
    'model:lab:my%20model:3'
    """
    if kind == "model_version":
        name, _, version = target.rpartition("/")
        return model_key(server, name, version)
    return f"{kind}:{quote(server, safe='')}:{quote(target, safe='')}"


def target_of(key: str) -> tuple[str, str, str] | None:
    """Server, kind and target of the links to a node; None for what no link leads to.

    >>> target_of("model:lab:my%20model:3"), target_of("8c1f")
    (('lab', 'model_version', 'my model/3'), None)
    """
    kind, each = kind_of(key), parts(key)
    if kind == "model":
        return (each[0], "model_version", f"{each[1]}/{each[2]}") if len(each) == 3 else None
    if kind not in ("run", "logged_model", "registered_model") or len(each) != 2:
        return None
    return each[0], kind, each[1]


def parts(key: str) -> tuple[str, ...]:
    """What a key is made of, after its kind.

    >>> parts("file:8c1f:data/a:b.csv"), parts("model:lab:my%20model:3")
    (('8c1f', 'data/a:b.csv'), ('lab', 'my model', '3'))
    """
    kind, _, rest = key.partition(":")
    if kind_of(key) == "dataset":
        return (key,)
    if kind == "file":
        dataset, _, path = rest.partition(":")
        return dataset, path
    if kind_of(key) in ("run", *MODELS):
        return tuple(unquote(each) for each in rest.split(":"))
    return (rest,)


def dataset_of(key: str) -> str | None:
    """The dataset whose visibility decides about the node; None for what is no dataset's."""
    if ":" not in key:
        return key
    return parts(key)[0] if kind_of(key) in ("file", "step") else None
