"""What is in a file: a bounded sample, and what its columns hold. Workers read it; pages show what was found.

Tables are CSV, TSV, JSON lines, Parquet and Excel, read with pandas. Pickles and other formats that can run code are
never opened. A profile is JSON: ``kind`` (``table``, ``text``, ``image``, ``none``), ``note``, and of a table ``rows``
(read), ``complete``, ``columns`` and ``sample``; of a text ``text``.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

MAX_BYTES = 16 * 1024 * 1024
#: Parquet and Excel cannot be read in part.
MAX_WHOLE = 64 * 1024 * 1024
MAX_ROWS = 10_000
MAX_COLUMNS = 200
MAX_CELL = 200
MAX_TEXT = 20_000
SAMPLE = 20
BINS = 10
_TEXT = {".txt", ".md", ".json", ".yaml", ".yml", ".toml", ".ini", ".log", ".py", ".sql", ".xml", ".html"}
_IMAGE = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".bmp"}
_TABLE = {".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".xlsx"}
_WHOLE = {".parquet", ".xlsx"}


def kind_of(path: str) -> str:
    """What the file is by its name: ``table``, ``text``, ``image`` or ``none``."""
    ending = PurePosixPath(path).suffix.lower()
    for kind, endings in (("table", _TABLE), ("text", _TEXT), ("image", _IMAGE)):
        if ending in endings:
            return kind
    return "none"


def wanted(path: str) -> int:
    """How many bytes of the file a profile reads, 0 for none."""
    kind = kind_of(path)
    if kind == "table":
        return MAX_WHOLE if PurePosixPath(path).suffix.lower() in _WHOLE else MAX_BYTES
    return MAX_TEXT * 4 if kind == "text" else 0


def profile(path: str, data: bytes, size: int) -> dict[str, Any]:
    """The profile of a file.

    :param data: its first :func:`wanted` bytes
    :param size: of the whole file
    """
    kind = kind_of(path)
    if kind == "text":
        return {"kind": "text", "text": data.decode("utf-8", "replace")[:MAX_TEXT], "complete": size <= len(data)}
    if kind != "table":
        return {"kind": kind}
    ending = PurePosixPath(path).suffix.lower()
    complete = size <= len(data)
    if ending in _WHOLE and not complete:
        return {"kind": "none", "note": f"A file of this format is read up to {MAX_WHOLE:,} bytes."}
    try:
        frame = _frame(ending, data, complete)
    except Exception as error:  # pandas' readers raise anything on a stranger's file
        return {"kind": "none", "note": f"It cannot be read as a table: {str(error)[:300]}"}
    return {"kind": "table", **describe(frame, complete and len(frame) <= MAX_ROWS)}


def _frame(ending: str, data: bytes, complete: bool) -> pd.DataFrame:
    import pandas as pd

    if ending in (".csv", ".tsv", ".jsonl", ".ndjson"):
        # The last line may be cut.
        text = data if complete else data[: data.rfind(b"\n") + 1]
        if ending in (".jsonl", ".ndjson"):
            return pd.read_json(io.BytesIO(text), lines=True, nrows=MAX_ROWS + 1)
        separator = "\t" if ending == ".tsv" else ","
        return pd.read_csv(
            io.BytesIO(text), sep=separator, nrows=MAX_ROWS + 1, encoding_errors="replace", low_memory=False
        )
    if ending == ".parquet":
        import pyarrow.parquet as parquet  # type: ignore[import-untyped]

        file = parquet.ParquetFile(io.BytesIO(data))
        batch = next(file.iter_batches(MAX_ROWS + 1, columns=file.schema_arrow.names[: MAX_COLUMNS + 1]), None)
        return batch.to_pandas() if batch is not None else pd.DataFrame(columns=file.schema_arrow.names)
    return pd.read_excel(io.BytesIO(data), nrows=MAX_ROWS + 1, engine="openpyxl")


def describe(frame: pd.DataFrame, complete: bool) -> dict[str, Any]:
    """Columns and a sample of a table."""
    frame = frame.iloc[:MAX_ROWS]
    shown = frame.iloc[:, :MAX_COLUMNS]
    return {
        "rows": len(frame),
        "complete": complete,
        "more_columns": max(0, frame.shape[1] - MAX_COLUMNS),
        "columns": [_column(str(name)[:MAX_CELL], shown.iloc[:, index]) for index, name in enumerate(shown.columns)],
        "sample": [[_cell(value) for value in row] for row in shown.head(SAMPLE).itertuples(index=False, name=None)],
    }


def _column(name: str, values: pd.Series[Any]) -> dict[str, Any]:
    import pandas as pd

    found: dict[str, Any] = {"name": name, "type": _type(values), "missing": int(values.isna().sum())}
    present = values.dropna()
    try:
        found["distinct"] = int(present.nunique())
    except TypeError:  # lists and objects of JSON
        found["distinct"] = int(present.astype(str).nunique())
    if present.empty:
        return found
    if found["type"] in ("integer", "number"):
        numbers = pd.to_numeric(present).astype(float)
        numbers = numbers[numbers.map(math.isfinite)]
        if numbers.empty:
            return found
        found |= {"min": _cell(present.min()), "max": _cell(present.max()), "mean": float(f"{numbers.mean():.6g}")}
        found["histogram"] = _histogram(numbers)
    elif found["type"] == "date":
        found |= {"min": str(present.min())[:32], "max": str(present.max())[:32]}
    else:
        counts = present.astype(str).value_counts().head(5)
        found["top"] = [[str(value)[:MAX_CELL], int(count)] for value, count in counts.items()]
    return found


def _histogram(numbers: pd.Series[Any]) -> list[list[float]]:
    import numpy as np

    low, high = float(numbers.min()), float(numbers.max())
    if not math.isfinite(high - low):
        return []
    counts, edges = np.histogram(numbers.to_numpy(), bins=BINS if high > low else 1)
    return [[float(f"{edge:.6g}"), int(count)] for edge, count in zip(edges, counts, strict=False)]


def _type(values: pd.Series[Any]) -> str:
    from pandas.api import types

    if types.is_bool_dtype(values):
        return "boolean"
    if types.is_integer_dtype(values):
        return "integer"
    if types.is_numeric_dtype(values):
        return "number"
    if types.is_datetime64_any_dtype(values):
        return "date"
    return "text"


def _cell(value: Any) -> Any:
    """A JSON value for a cell."""
    if value is None or value != value:
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value)[:MAX_CELL]


def difference(before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]]:
    """How the columns of two profiles differ: ``name``, ``before`` and ``after`` (types; None where it is not)."""
    old = {each["name"]: each["type"] for each in before.get("columns", ())}
    new = {each["name"]: each["type"] for each in after.get("columns", ())}
    return list(_differences(old, new))


def _differences(old: dict[str, str], new: dict[str, str]) -> Iterator[dict[str, Any]]:
    for name in [*new, *(each for each in old if each not in new)]:
        if old.get(name) != new.get(name):
            yield {"name": name, "before": old.get(name), "after": new.get(name)}
