"""Names of the nodes of lineage graphs.

A dataset is its id. The others say what they are: ``external:URI`` (an outside source), ``file:DATASET:PATH``,
``step:DATASET`` (the stage behind a dataset), ``run:SERVER:ID`` and ``model:SERVER:NAME:VERSION`` of MLflow, in which
server, name and version are percent-encoded.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote, unquote

Side = Literal["upstream", "downstream"]
Kind = Literal["dataset", "external", "file", "step", "run", "model"]
EXTERNAL, FILE, STEP, RUN, MODEL = "external:", "file:", "step:", "run:", "model:"
KINDS: tuple[Kind, ...] = ("dataset", "external", "file", "step", "run", "model")
#: How MLflow writes a version of a registered model, and we an asserted edge from one.
MODEL_URI = "models:/"


def kind_of(key: str) -> Kind:
    """What a node is.

    >>> kind_of("run:lab:0123"), kind_of("8c1f")
    ('run', 'dataset')
    """
    head = key.partition(":")[0]
    return next((kind for kind in KINDS[1:] if kind == head), "dataset") if ":" in key else "dataset"


def file_key(dataset: str, path: str) -> str:
    """A file (output) of a dataset."""
    return f"{FILE}{dataset}:{path}"


def run_key(server: str, run_id: str) -> str:
    """An MLflow run."""
    return f"{RUN}{quote(server, safe='')}:{quote(run_id, safe='')}"


def model_key(server: str, name: str, version: str) -> str:
    """A version of a registered model."""
    return MODEL + ":".join(quote(each, safe="") for each in (server, name, version))


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
    if kind in ("run", "model"):
        return tuple(unquote(each) for each in rest.split(":"))
    return (rest,)


def dataset_of(key: str) -> str | None:
    """The dataset whose visibility decides about the node; None for what is no dataset's."""
    kind = kind_of(key)
    if kind == "dataset":
        return key
    return parts(key)[0] if kind in ("file", "step") else None


def model_uris(server: str, name: str, version: str, aliases: list[str]) -> list[str]:
    """The addresses by which people may have named the version of a model."""
    ends = [f"{name}/{version}", *(f"{name}@{alias}" for alias in aliases)]
    return [f"{head}{end}" for end in ends for head in (MODEL_URI, f"{MODEL_URI}/{server}/")]
