"""Parts of charts, as SVG text that takes its colours from the page's style sheet."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from luthier.report.plain import visible

WIDTH = 360
"""All charts are drawn for a narrow phone, so that their text is as large as the page's there."""


@dataclass(frozen=True)
class Axis:
    """A linear scale from values `low` to `high` onto `start` to `end` of the drawing."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value stands; values outside stand at the nearer end."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values within a range, `most` at most: multiples of 1, 2 or 5 times a power of ten."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if span / (factor * power) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) + 0.0 for index in range(first, math.floor(high / step + 1e-9) + 1)]


def drawing(height: float, title: str, description: str, body: Sequence[str], name: str) -> str:
    """A whole chart; `title` and `description` are what a screen reader says, `name` makes their ids unique."""
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-labelledby="{name}-t {name}-d" '
        'xmlns="http://www.w3.org/2000/svg">'
        f'<title id="{name}-t">{_escaped(title)}</title><desc id="{name}-d">{_escaped(description)}</desc>'
        f"{''.join(body)}</svg>"
    )


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    """A line of text whose baseline begins, ends or is centred (`anchor`: start, end, middle) at a point."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{_escaped(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def dot(x: float, y: float, radius: float, kind: str, tip: str = "") -> str:
    """A dot, with a text that shows when it is pointed at."""
    inner = f"<title>{_escaped(tip)}</title>" if tip else ""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{kind}">{inner}</circle>'


def path(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Straight lines from point to point."""
    steps = " ".join(f"{'M' if index == 0 else 'L'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(points))
    return f'<path d="{steps}" class="{kind}"/>'


def shortened(content: str, characters: int) -> str:
    """One line of a text, at most so many characters."""
    words = " ".join(content.split())
    return words if len(words) <= characters else words[: characters - 1] + "…"


def _escaped(content: str) -> str:
    return html.escape(visible(content))
