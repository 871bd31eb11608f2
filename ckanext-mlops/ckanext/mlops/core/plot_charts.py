"""A plot at several revisions as one chart: the Vega-Lite specification that DVC's own templates make of it.

The rules by which ``x`` and ``y`` are found are those of ``dvc plots`` (its ``VegaConverter``), so that the chart in a
portal is the chart on the desk. dvc-render is asked for the template only; it is imported when a chart is made.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import ContentError
from .untrusted import clean

Rows = Sequence[Mapping[str, Any]]
#: What stands in a specification for the rows; dvc-render's own anchor.
DATA_ANCHOR = "<DVC_METRIC_DATA>"
MAX_CELLS = 200_000
MAX_FIELDS = 50
MAX_TEMPLATE = 65_536
_INDEX = "step"
_MANY_X, _MANY_Y = "dvc_inferred_x_value", "dvc_inferred_y_value"


@dataclass(frozen=True, slots=True)
class AtRevision:
    """A plot at one revision: its options there, and the rows of its files by path."""

    revision: str
    options: Mapping[str, Any]
    files: Mapping[str, Rows]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of one plot.

    :param spec: Vega-Lite; :data:`DATA_ANCHOR` stands where ``rows`` belong
    :param rows: of all revisions, with ``rev``, ``filename`` and ``field``
    :param every: of how many points one was taken (1: all are here)
    :param problems: revision → why it is not drawn
    """

    title: str
    template: str
    x: str
    y: str
    spec: dict[str, Any]
    rows: list[dict[str, Any]]
    revisions: list[str]
    every: int
    problems: dict[str, str]


def chart(name: str, revisions: Iterable[AtRevision], template: Mapping[str, Any] | None = None) -> Chart:
    """The chart of a plot.

    :param template: content of a template of the repository's own; the options name DVC's otherwise
    :raises ContentError: the template is none, or has no place for the data
    """
    found = list(revisions)
    options = _together(each.options for each in found)
    drawn: dict[str, list[dict[str, Any]]] = {}
    problems: dict[str, str] = {}
    properties: dict[str, Any] = {}
    for each in found:
        try:
            rows, said = _flat(name, options, each)
        except ContentError as error:
            problems[each.revision] = error.message
            continue
        if rows:
            properties = properties or said
            drawn[each.revision] = rows
    cells = sum(len(rows) * len(rows[0]) for rows in drawn.values())
    every = -(-cells // MAX_CELLS) or 1
    rows = [row for each in drawn.values() for row in each[::every]]
    properties.setdefault("title", name)
    spec = _fill(rows, name, {**properties, "revs_with_datapoints": list(drawn)}, template) if rows else {}
    return Chart(
        title=properties["title"],
        template=clean(options.get("template"), 300) or "linear",
        x=str(properties.get("x") or ""),
        y=str(properties.get("y") or ""),
        spec=spec,
        rows=rows,
        revisions=list(drawn),
        every=every,
        problems=problems,
    )


def filled(spec: Any, rows: Rows) -> Any:
    """A specification with its rows in place."""
    if spec == DATA_ANCHOR:
        return list(rows)
    if isinstance(spec, Mapping):
        return {key: filled(value, rows) for key, value in spec.items()}
    return [filled(value, rows) for value in spec] if isinstance(spec, list) else spec


def read_template(data: bytes | None, name: str) -> dict[str, Any]:
    """A template that a repository brings.

    :raises ContentError: it is missing, too large, or no JSON object
    """
    if data is None or len(data) > MAX_TEMPLATE:
        raise ContentError(f"the template '{clean(name, 60)}' is missing or larger than {MAX_TEMPLATE} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ContentError(f"the template '{clean(name, 60)}' is no JSON object")
    return value


def is_builtin(name: str) -> bool:
    """Whether dvc-render brings the template."""
    from dvc_render.vega_templates import TEMPLATES

    return any(name == each.DEFAULT_NAME for each in TEMPLATES)


def _together(options: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The options of all revisions; the first that has one counts."""
    result: dict[str, Any] = {}
    for each in reversed(list(options)):
        result |= each
    return result


def _flat(name: str, options: Mapping[str, Any], at: AtRevision) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of one revision with the fields that templates ask for, and the properties of the chart."""
    xs, ys = _axes(name, options, at.files)
    if not ys:
        return [], {}
    if len(xs) > 1 and len(xs) != len(ys):
        raise ContentError(f"it has {len(xs)} x and {len(ys)} y data sources")
    x_fields, y_fields = (list(dict.fromkeys(field for _, field in pairs)) for pairs in (xs, ys))
    x = _INDEX if not xs else x_fields[0] if len(x_fields) == 1 else _MANY_X
    y = y_fields[0] if len(y_fields) == 1 else _MANY_Y
    files = list(dict.fromkeys(file for file, _ in ys))
    common = len(posixpath.commonpath(files)) if len(files) > 1 else 0
    short = {file: file[common:].strip("/") for file in files}
    rows: list[dict[str, Any]] = []
    for number, (file, field) in enumerate(ys):
        mine = [dict(row) for row in at.files.get(file, ())]
        if y == _MANY_Y:
            _copy(mine, mine, field, y)
        if xs:
            x_file, x_field = xs[number] if len(xs) > 1 else xs[0]
            source = mine if x_file == file else at.files.get(x_file, ())
            if len(source) != len(mine):
                raise ContentError(f"'{x_field}' of {x_file} and '{field}' of {file} have not the same length")
            _copy(mine, source, x_field, x)
        else:
            for index, row in enumerate(mine):
                row[_INDEX] = index
        for row in mine:
            row |= {"rev": at.revision, "filename": short[file], "field": field}
        rows += mine
    return rows, {key: clean(options[key], 300) for key in ("title", "template") if options.get(key)} | {
        "x": x,
        "y": y,
        "x_label": clean(options.get("x_label"), 300) or _label(x_fields, "x", xs) or _INDEX,
        "y_label": clean(options.get("y_label"), 300) or _label(y_fields, "y", ys),
        "anchors_y_definitions": [{"filename": short[file], "field": field} for file, field in ys],
    }


def _axes(
    name: str, options: Mapping[str, Any], files: Mapping[str, Rows]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """``(file, field)`` of x and of y."""
    x, y = options.get("x"), options.get("y")
    if y is None:
        first = next(iter(files.get(name, ())), None)
        y = {name: list(first)[-1]} if first else {}
    elif not isinstance(y, Mapping):
        y = {name: y}
    if isinstance(x, str):
        x = {file: [x] * len(fields) if isinstance(fields, list) else x for file, fields in y.items()}
    pairs = [
        [
            (str(file), str(field))
            for file, fields in (axis.items() if isinstance(axis, Mapping) else ())
            for field in (fields if isinstance(fields, list) else [fields])[:MAX_FIELDS]
            if isinstance(field, str)
        ]
        for axis in (x, y)
    ]
    for file, field in (*pairs[0], *pairs[1]):
        rows = files.get(file)
        if rows and field not in rows[0]:
            there = ", ".join(list(rows[0])[:10])
            raise ContentError(f"{clean(file, 200)} has no field '{clean(field, 60)}'; it has {clean(there, 200)}")
    return pairs[0], pairs[1]


def _copy(rows: list[dict[str, Any]], source: Rows, field: str, into: str) -> None:
    for row, other in zip(rows, source, strict=True):
        if field in other:
            row[into] = other[field]


def _label(fields: Sequence[str], otherwise: str, pairs: Sequence[Any]) -> str:
    return "" if not pairs else fields[0] if len(fields) == 1 else otherwise


def _fill(
    rows: list[dict[str, Any]], name: str, properties: dict[str, Any], template: Mapping[str, Any] | None
) -> dict[str, Any]:
    from dvc_render import VegaRenderer
    from dvc_render.exceptions import DvcRenderError
    from dvc_render.vega_templates import TEMPLATES, LinearTemplate, Template

    wanted = properties.pop("template", None)
    # Never the name itself: dvc-render would open a file of that name on this machine.
    filler: Template = next((each() for each in TEMPLATES if wanted == each.DEFAULT_NAME), LinearTemplate())
    if template is not None:
        filler = Template(dict(template), name=name)
    try:
        renderer = VegaRenderer(rows, name, **{**properties, "template": filler, "data": DATA_ANCHOR})
        spec: dict[str, Any] = renderer.get_filled_template()
    except (DvcRenderError, RecursionError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise ContentError(f"the template cannot be filled: {clean(error, 200)}") from None
    return spec
