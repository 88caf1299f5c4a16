"""Cost against number of rules, both logarithmic, as a small SVG."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

WIDTH, HEIGHT = 850, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 560, 46, 370
COLOURS = ("#0b62d6", "#5b9bf0", "#6b7280", "#c2410c", "#15803d", "#7e22ce", "#be123c", "#0f766e")
UNITS = {
    1e-7: "0.1 µs",
    1e-6: "1 µs",
    1e-5: "10 µs",
    1e-4: "100 µs",
    1e-3: "1 ms",
    1e-2: "10 ms",
    1e-1: "100 ms",
    1.0: "1 s",
    10.0: "10 s",
}
APART = 15  # pixels between two names


def draw(curves: Mapping[str, Mapping[int, float]]) -> str:
    """The picture of some curves, each seconds by number of rules."""
    sizes = sorted({size for curve in curves.values() for size in curve})
    seconds = [value for curve in curves.values() for value in curve.values()]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    first, last = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(size: int) -> float:
        return LEFT + (math.log10(size) - first) / (last - first) * (RIGHT - LEFT)

    def y(value: float) -> float:
        return BOTTOM - (math.log10(value) - low) / (high - low) * (BOTTOM - TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        "<title>Cost of a warm decision against the number of rules</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="24" font-size="14" fill="#111">A warm decision, the last rule matching</text>',
    ]
    for power in range(low, high + 1):
        at = y(10.0**power)
        name = next((unit for value, unit in UNITS.items() if math.isclose(value, 10.0**power)), f"1e{power} s")
        parts.append(f'<path d="M{LEFT} {at:.1f}H{RIGHT}" stroke="#e5e7eb"/>')
        parts.append(
            f'<text font-size="12" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end" fill="#555">{name}</text>'
        )
    for size in sizes:
        parts.append(f'<path d="M{x(size):.1f} {TOP}V{BOTTOM}" stroke="#e5e7eb"/>')
        parts.append(
            f'<text font-size="12" x="{x(size):.1f}" y="{BOTTOM + 18}" text-anchor="middle" fill="#555">{size:,}</text>'
        )
    parts.append(
        f'<text font-size="12" x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 38}" text-anchor="middle" fill="#555">rules</text>'
    )
    ends = {name: y(curve[max(curve)]) for name, curve in curves.items()}
    placed = _apart(ends)
    for colour, (name, curve) in zip(COLOURS * 2, curves.items(), strict=False):
        points = " ".join(f"{x(size):.1f},{y(value):.1f}" for size, value in sorted(curve.items()))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x(size):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>' for size, value in curve.items()
        ]
        parts.append(
            f'<text font-size="12" x="{RIGHT + 12}" y="{placed[name] + 4:.1f}" fill="{colour}">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _apart(ends: Mapping[str, float]) -> dict[str, float]:
    """Moves names down so that none covers another."""
    placed: dict[str, float] = {}
    above = -math.inf
    for name, at in sorted(ends.items(), key=lambda item: item[1]):
        above = placed[name] = max(at, above + APART)
    return placed
