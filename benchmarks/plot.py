"""Plots as small SVG files, each for a light and for a dark page: bars, dots on a logarithmic axis, and curves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

STYLE = 'role="img" font-family="system-ui, sans-serif" font-size="13"'
WIDTH = 600
LEFT, RIGHT, TOP = 16, 500, 74  # of the field in which bars lie; values stand at their right
STEP = 42  # pixels from one bar to the next: its name stands above it
SPREAD = 40.0  # the largest against the least from which an axis is logarithmic
CURVES = (64, 400, 340)  # left, right and height of the field of curves
APART = 16  # pixels between two names of curves


@dataclass(frozen=True)
class Theme:
    """The colours of a page; a first and other colours for what is ours and what is not."""

    page: str
    text: str
    faint: str
    lines: str
    ours: str
    others: str
    series: tuple[str, ...]


THEMES = {
    "light": Theme(
        *("#ffffff", "#1f2328", "#57606a", "#d8dee4", "#0b6e4f", "#8c959f"),
        ("#0b6e4f", "#2f9e77", "#57606a", "#b35900", "#0b62d6", "#7e22ce", "#be123c", "#0f766e"),
    ),
    "dark": Theme(
        *("#131416", "#e6edf3", "#9da7b3", "#30363d", "#5fd3a4", "#6e7681"),
        ("#5fd3a4", "#a7ecd0", "#9da7b3", "#f0a35e", "#79b8ff", "#d2a8ff", "#ff8fa3", "#7fd7d0"),
    ),
}


@dataclass(frozen=True)
class Plot:
    """What is drawn.

    Attributes:
        name: Of the files.
        axis: What the axis of values shows, with its unit.
        values: A bar for each name.
        curves: Instead of bars, values by number of rules.
        ours: The names of what is ours.
        better: Which direction is good.
        limit: A line that no bar should cross.
    """

    name: str
    title: str
    axis: str
    values: Mapping[str, float] | None = None
    curves: Mapping[str, Mapping[int, float]] | None = None
    ours: Sequence[str] = ()
    better: str = "smaller is better"
    limit: float | None = None


def draw(plot: Plot, theme: Theme) -> str:
    """The picture of a plot."""
    body, height = _curves(plot, theme) if plot.curves else _bars(plot, theme)
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {STYLE}>',
        f"<title>{escape(plot.title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" rx="6" fill="{theme.page}"/>',
        _text(LEFT, 26, plot.title, theme.text, 'font-size="15" font-weight="600"'),
        _text(LEFT, 46, f"{plot.axis}; {plot.better}", theme.faint),
    ]
    return "\n".join([*head, *body, "</svg>"]) + "\n"


def number(value: float) -> str:
    """A number for people, with two or three digits that mean something."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = max(0, 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 6)}f}"


def _text(x: float, y: float, words: str, colour: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" {more}>{escape(words.replace("`", ""))}</text>'


def _bars(plot: Plot, theme: Theme) -> tuple[list[str], int]:
    values = plot.values or {}
    shown = [value for value in values.values() if value > 0]
    logarithmic = bool(shown) and len(shown) == len(values) and max(shown) / min(shown) >= SPREAD
    limits = [plot.limit] if plot.limit is not None else []
    low = 10.0 ** math.floor(math.log10(min(shown))) if logarithmic else 0.0
    high = max([*values.values(), *limits], default=1.0) or 1.0
    if logarithmic:
        high = 10.0 ** math.ceil(math.log10(high))
    bottom = TOP + STEP * len(values)

    def x(value: float) -> float:
        if logarithmic:
            return LEFT + math.log10(value / low) / math.log10(high / low) * (RIGHT - LEFT)
        return LEFT + value / high * (RIGHT - LEFT)

    parts = []
    for tick in _decades(low, high) if logarithmic else _steps(high):
        parts.append(f'<path d="M{x(tick):.1f} {TOP - 12}V{bottom}" stroke="{theme.lines}"/>')
        anchor = "start" if tick == low else "middle"  # at the edge half of the number would be cut off
        parts.append(_text(x(tick), bottom + 18, number(tick), theme.faint, f'text-anchor="{anchor}" font-size="12"'))
    if plot.limit is not None:
        at = x(plot.limit)
        parts.append(
            f'<path d="M{at:.1f} {TOP - 12}V{bottom}" stroke="{theme.text}" stroke-width="1.5" stroke-dasharray="5 4"/>'
        )
        parts.append(_text(at + 5, TOP - 4, "target", theme.text, 'font-size="12"'))
    over = f'paint-order="stroke" stroke="{theme.page}" stroke-width="6" stroke-linejoin="round"'  # lines stop at words
    for at, (name, value) in enumerate(sorted(values.items(), key=lambda item: item[1])):
        y = TOP + STEP * at + 10
        colour = theme.ours if name in plot.ours else theme.others
        parts.append(_text(LEFT + 2, y + 4, name, theme.text, over))
        if logarithmic:  # the length of a bar would mean nothing where no zero is
            parts.append(f'<path d="M{LEFT} {y + 15}H{x(value):.1f}" stroke="{colour}" stroke-width="2"/>')
            parts.append(f'<circle cx="{x(value):.1f}" cy="{y + 15}" r="6" fill="{colour}"/>')
        else:
            width = max(x(value) - LEFT, 1.0)
            parts.append(f'<rect x="{LEFT}" y="{y + 9}" width="{width:.1f}" height="13" rx="2" fill="{colour}"/>')
        parts.append(_text(x(value) + 11, y + 20, number(value), theme.text, f'font-weight="600" {over}'))
    kind = "logarithmic axis" if logarithmic else "the axis begins at 0"
    parts.append(_text(LEFT, bottom + 38, f"{plot.axis}, {kind}", theme.faint, 'font-size="12"'))
    return parts, bottom + 52


def _decades(low: float, high: float) -> list[float]:
    first, last = round(math.log10(low)), round(math.log10(high))
    return [10.0**power for power in range(first, last + 1, 1 + (last - first) // 7)]


def _steps(high: float) -> list[float]:
    """Round numbers from 0, not more than six of them."""
    rough = high / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [step * at for at in range(int(high / step) + 1)]


def _curves(plot: Plot, theme: Theme) -> tuple[list[str], int]:
    """Values by number of rules, both axes logarithmic."""
    left, right, bottom = CURVES
    curves = plot.curves or {}
    sizes = sorted({size for curve in curves.values() for size in curve})
    values = [value for curve in curves.values() for value in curve.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    first, last = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(size: int) -> float:
        return left + (math.log10(size) - first) / ((last - first) or 1) * (right - left)

    def y(value: float) -> float:
        return bottom - (math.log10(value) - low) / ((high - low) or 1) * (bottom - TOP)

    parts = []
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(f'<path d="M{left} {at:.1f}H{right}" stroke="{theme.lines}"/>')
        parts.append(_text(left - 8, at + 4, number(10.0**power), theme.faint, 'text-anchor="end" font-size="12"'))
    for size in sizes:
        parts.append(f'<path d="M{x(size):.1f} {TOP}V{bottom}" stroke="{theme.lines}"/>')
        parts.append(_text(x(size), bottom + 18, f"{size:,}", theme.faint, 'text-anchor="middle" font-size="12"'))
    middle = (left + right) / 2
    parts.append(_text(middle, bottom + 38, "rules", theme.faint, 'text-anchor="middle" font-size="12"'))
    placed = _apart({name: y(curve[max(curve)]) for name, curve in curves.items()})
    for colour, (name, curve) in zip(theme.series * 2, curves.items(), strict=False):
        points = [(x(size), y(value)) for size, value in sorted(curve.items())]
        parts.append(_line(points, colour, 3 if name in plot.ours else 1.5))
        parts += [f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" fill="{colour}"/>' for across, down in points]
        weight = 'font-weight="600"' if name in plot.ours else ""
        parts.append(_text(right + 12, placed[name] + 4, name, colour, f'font-size="12" {weight}'))
    return parts, max(bottom, *map(round, placed.values())) + 52


def _line(points: Iterable[tuple[float, float]], colour: str, width: float) -> str:
    path = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _apart(ends: Mapping[str, float]) -> dict[str, float]:
    """Moves names down so that none covers another."""
    placed: dict[str, float] = {}
    above = -math.inf
    for name, at in sorted(ends.items(), key=lambda item: item[1]):
        above = placed[name] = max(at, above + APART)
    return placed
