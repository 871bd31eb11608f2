"""Geometry of small charts that a template draws as SVG: no script, the same for print and for dark windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, MARGIN = 720.0, 280.0, 48.0
TICKS = 4


@dataclass(frozen=True)
class Axis:
    """Numbers to places. ``ticks`` are (place, text)."""

    label: str
    ticks: list[tuple[float, str]]
    at: float = 0.0


@dataclass(frozen=True)
class Chart:
    """Places in a box of :data:`WIDTH` by :data:`HEIGHT`.

    :param points: (x, y, text): one for each row that has the numbers
    :param paths: SVG path data with its text; one for each row of parallel coordinates, one in all for a trend
    """

    x: Axis | None
    y: list[Axis]
    points: list[tuple[float, float, str]]
    paths: list[tuple[str, str]]
    width: float = WIDTH
    height: float = HEIGHT
    margin: float = MARGIN


def scale(numbers: Sequence[float], low_place: float, high_place: float) -> tuple[list[float], list[tuple[float, str]]]:
    """Places of ``numbers`` between two places, and ticks; equal numbers stand in the middle."""
    low, high = min(numbers), max(numbers)
    span = high - low

    def place(number: float) -> float:
        return low_place + (high_place - low_place) * ((number - low) / span if span else 0.5)

    steps = [low + span * step / TICKS for step in range(TICKS + 1)] if span else [low]
    return [place(number) for number in numbers], [(place(step), f"{step:.4g}") for step in steps]


def trend(names: Sequence[str], numbers: Sequence[float | None], label: str) -> Chart | None:
    """One number over revisions, in their order; None with fewer than two."""
    known = [(index, number) for index, number in enumerate(numbers) if number is not None and math.isfinite(number)]
    if len(known) < 2:
        return None
    ys, ticks = scale([number for _, number in known], HEIGHT - MARGIN, MARGIN / 2)
    step = (WIDTH - 2 * MARGIN) / max(1, len(names) - 1)
    points = [
        (MARGIN + index * step, y, f"{names[index]}: {number:.6g}")
        for (index, number), y in zip(known, ys, strict=True)
    ]
    every = max(1, len(names) // 8)
    x = Axis("", [(MARGIN + index * step, names[index]) for index in range(0, len(names), every)])
    path = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y, _ in points)
    return Chart(x, [Axis(label, ticks)], points, [(path, label)])


def scatter(
    names: Sequence[str], xs: Sequence[float | None], ys: Sequence[float | None], x_label: str, y_label: str
) -> Chart | None:
    """One number against another; None with fewer than two pairs."""
    known = [
        (name, one, two)
        for name, one, two in zip(names, xs, ys, strict=True)
        if one is not None and two is not None and math.isfinite(one) and math.isfinite(two)
    ]
    if len(known) < 2:
        return None
    left, x_ticks = scale([one for _, one, _ in known], MARGIN, WIDTH - MARGIN)
    top, y_ticks = scale([two for _, _, two in known], HEIGHT - MARGIN, MARGIN / 2)
    points = [
        (x, y, f"{name}: {x_label} {one:.6g}, {y_label} {two:.6g}")
        for (name, one, two), x, y in zip(known, left, top, strict=True)
    ]
    return Chart(Axis(x_label, x_ticks), [Axis(y_label, y_ticks)], points, [])


def parallel(names: Sequence[str], columns: Sequence[tuple[str, Sequence[float | None]]]) -> Chart | None:
    """Each row as a line over several axes, without rows that lack a number; None with fewer than two of either."""
    whole = [
        index
        for index in range(len(names))
        if all(values[index] is not None and math.isfinite(values[index] or 0.0) for _, values in columns)
    ]
    if len(whole) < 2 or len(columns) < 2:
        return None
    step = (WIDTH - 2 * MARGIN) / (len(columns) - 1)
    axes, places = [], []
    for number, (label, values) in enumerate(columns):
        ys, ticks = scale([float(values[index] or 0.0) for index in whole], HEIGHT - MARGIN, MARGIN)
        places.append(ys)
        axes.append(Axis(label, [ticks[0], ticks[-1]], MARGIN + number * step))
    paths = [
        (
            "M" + " L".join(f"{MARGIN + number * step:.1f} {ys[row]:.1f}" for number, ys in enumerate(places)),
            names[index],
        )
        for row, index in enumerate(whole)
    ]
    return Chart(None, axes, [], paths)
