"""Which outputs are models, by what they say and by their names."""

from __future__ import annotations

import posixpath
import re

_ONLY_MODELS = frozenset(
    [
        ".onnx",
        ".safetensors",
        ".keras",
        ".tflite",
        ".mlmodel",
        ".pmml",
        ".cbm",
        ".gguf",
        ".ckpt",
        ".pth",
        ".model",
        ".joblib",
    ]
)
_MAYBE_MODELS = frozenset(
    [".pkl", ".pickle", ".pt", ".h5", ".hdf5", ".bin", ".pb", ".json", ".txt", ".zip", ".tar", ".gz"]
) | {""}
_MODEL = re.compile(r"(?:^|[._\- ])models?(?:$|[._\- \d])", re.IGNORECASE)


def is_model(path: str, type_: str) -> bool:
    """Whether an output is a model: it says so (``type: model``), or its name does.

    Suffixes that only models have count alone; ``.pkl``, ``.pt``, ``.h5`` and the like, and folders, count when the
    name has the word *model* in it (``model.pkl``, ``best-model/``).
    """
    if type_:
        return type_.lower() == "model"
    name = posixpath.basename(path.rstrip("/"))
    stem, suffix = posixpath.splitext(name)
    suffix = suffix.lower()
    return suffix in _ONLY_MODELS or (suffix in _MAYBE_MODELS and _MODEL.search(stem) is not None)
