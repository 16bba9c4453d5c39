"""The charts of the report: each takes plain values and gives the text of an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luthier.evaluation.calibration import Bin
from luthier.report import svg

_ROW = 38
_MOST_POINTS = 300


@dataclass(frozen=True)
class Bar:
    """A figure with its 95 % interval; `strong` is drawn in the accent colour."""

    name: str
    value: float
    low: float
    high: float
    strong: bool = False


def intervals_chart(bars: Sequence[Bar], metric: str) -> str:
    """Dots with whiskers, one below the other, in percent; a band shows the interval of the strong one."""
    low, high = min(bar.low for bar in bars), max(bar.high for bar in bars)
    margin = max(0.04 * (high - low), 0.005)
    axis = svg.Axis(max(low - margin, 0.0), min(high + margin, 1.0), 8, svg.WIDTH - 8)
    bottom = _ROW * len(bars) + 6
    body = []
    for value in svg.ticks(100 * axis.low, 100 * axis.high):
        x = axis.at(value / 100)
        body += [svg.line(x, 4, x, bottom, "grid"), svg.text(x, bottom + 15, f"{value:g}", "tick", "middle")]
    for bar in bars:
        if bar.strong:
            left, right = axis.at(bar.low), axis.at(bar.high)
            body.append(
                f'<rect x="{left:.1f}" y="4" width="{max(right - left, 1):.1f}" height="{bottom - 4:g}" class="band"/>'
            )
    for index, bar in enumerate(bars):
        y = _ROW * index + 28
        kind = "strong" if bar.strong else "plain"
        interval = f"{100 * bar.value:.1f} ({100 * bar.low:.1f} to {100 * bar.high:.1f})"
        body += [
            svg.text(8, y - 11, svg.shortened(bar.name, 42), f"name {kind}"),
            svg.text(svg.WIDTH - 8, y - 11, f"{100 * bar.value:.1f}", f"value {kind}", "end"),
            svg.line(axis.at(bar.low), y, axis.at(bar.high), y, f"whisker {kind}"),
            svg.line(axis.at(bar.low), y - 4, axis.at(bar.low), y + 4, f"whisker {kind}"),
            svg.line(axis.at(bar.high), y - 4, axis.at(bar.high), y + 4, f"whisker {kind}"),
            svg.dot(axis.at(bar.value), y, 4.5, f"dot {kind}", f"{bar.name}: {interval}"),
        ]
    body.append(svg.text(svg.WIDTH / 2, bottom + 32, f"{metric}, % of 100, with 95% intervals", "label", "middle"))
    said = "; ".join(f"{bar.name} {100 * bar.value:.1f}%, {100 * bar.low:.1f} to {100 * bar.high:.1f}" for bar in bars)
    return svg.drawing(bottom + 38, f"{metric} of the tuned model and the baselines", said, body, "c-baselines")


def learning_chart(
    train: Sequence[tuple[float, float]],
    valid: Sequence[tuple[float, float]],
    test: float | None = None,
    best: float | None = None,
) -> str:
    """Losses (step, nats per token): training as a line, validation as dots, the test rows' as a level; `best` is the
    step whose checkpoint was kept."""
    shown = thinned(train)
    points = [*shown, *valid]
    top = max([loss for _, loss in points] + ([] if test is None else [test]))
    last = max(step for step, _ in points)
    first = min(min(step for step, _ in points), last - 1)
    x, y = svg.Axis(first, last, 40, svg.WIDTH - 10), svg.Axis(0.0, top * 1.05 or 1.0, 190, 26)
    body = []
    for value in svg.ticks(0.0, y.high):
        body += [svg.line(40, y.at(value), svg.WIDTH - 10, y.at(value), "grid")]
        body += [svg.text(34, y.at(value) + 4, f"{value:g}", "tick", "end")]
    for value in svg.ticks(first, last):
        if value == round(value):
            body.append(svg.text(x.at(value), 207, f"{value:,.0f}", "tick", "middle"))
    if best is not None:
        body += [svg.line(x.at(best), 26, x.at(best), 190, "kept")]
    if test is not None:
        body += [svg.line(40, y.at(test), svg.WIDTH - 10, y.at(test), "test")]
    body.append(svg.path([(x.at(step), y.at(loss)) for step, loss in shown], "train"))
    if valid:
        body.append(svg.path([(x.at(step), y.at(loss)) for step, loss in valid], "valid"))
        body += [svg.dot(x.at(step), y.at(loss), 3, "valid", f"step {step:g}: {loss:.4f}") for step, loss in valid]
    legend = [("train", "training")] + ([("valid", "validation")] if valid else [])
    legend += [("test", "test")] if test is not None else []
    legend += [("kept", "kept")] if best is not None else []
    left = 40.0
    for kind, name in legend:
        body += [svg.line(left, 11, left + 16, 11, kind), svg.text(left + 20, 15, name, "tick")]
        left += 28 + 6.6 * len(name)
    body += [svg.text((40 + svg.WIDTH - 10) / 2, 224, "step", "label", "middle")]
    body += ['<text transform="translate(10 108) rotate(-90)" class="label" text-anchor="middle">nats per token</text>']
    said = f"training loss from {train[0][1]:.3f} to {train[-1][1]:.3f} over {last:,.0f} steps"
    if valid:
        said += f"; validation loss from {valid[0][1]:.3f} to {valid[-1][1]:.3f}"
    if test is not None:
        said += f"; loss of the test rows {test:.3f}"
    return svg.drawing(230, "Learning curves", said, body, "c-learning")


def calibration_chart(bins: Sequence[Bin], ece: float) -> str:
    """The share right by confidence: dots as large as the square root of their share of the rows."""
    side = 190
    x, y = svg.Axis(0, 1, 46, 46 + side), svg.Axis(0, 1, side + 8, 8)
    body = [svg.line(x.at(0), y.at(0), x.at(1), y.at(1), "kept")]
    for value in (0, 25, 50, 75, 100):
        share = value / 100
        body += [svg.line(x.at(0), y.at(share), x.at(1), y.at(share), "grid")]
        body += [svg.text(x.at(0) - 6, y.at(share) + 4, str(value), "tick", "end")]
        body += [svg.text(x.at(share), y.at(0) + 15, str(value), "tick", "middle")]
    rows = sum(found.rows for found in bins) or 1
    for found in bins:
        tip = f"{found.rows:,} rows: confidence {found.confidence:.0%}, right {found.accuracy:.0%}"
        size = 2.5 + 9 * (found.rows / rows) ** 0.5
        body.append(svg.dot(x.at(found.confidence), y.at(found.accuracy), round(size, 1), "dot strong see", tip))
    body += [svg.text(x.at(0.5), y.at(0) + 31, "confidence in the label, %", "label", "middle")]
    body += [
        f'<text transform="translate(12 {8 + side / 2:g}) rotate(-90)" class="label" text-anchor="middle">'
        "right, %</text>"
    ]
    said = f"expected calibration error {ece:.3f}; " + "; ".join(
        f"at confidence {found.confidence:.0%} {found.accuracy:.0%} right ({found.rows} rows)" for found in bins
    )
    return svg.drawing(side + 46, "Calibration", said, body, "c-calibration")


def thinned(points: Sequence[tuple[float, float]], most: int = _MOST_POINTS) -> list[tuple[float, float]]:
    """At most so many points: means of runs of equal length, with the last of their steps."""
    size = -(-len(points) // most)
    found = []
    for start in range(0, len(points), max(size, 1)):
        run = points[start : start + size]
        found.append((run[-1][0], sum(loss for _, loss in run) / len(run)))
    return found
