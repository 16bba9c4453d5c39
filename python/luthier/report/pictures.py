"""The charts of the report on their own, as pictures for a notebook or a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from luthier.report.parts import Parts
from luthier.report.view_figures import baselines_view, learning_view, results_view

_STYLE = Path(__file__).parent / "templates" / "style.css"


@dataclass(frozen=True, repr=False)
class Picture:
    """A chart as the text of an SVG that needs no style sheet."""

    name: str
    svg: str

    def __repr__(self) -> str:
        return f"Picture({self.name!r})"

    def _repr_svg_(self) -> str:
        return self.svg


def pictures_of(parts: Parts) -> dict[str, Picture]:
    """The charts that the parts of a run give, by name: baselines, learning, calibration."""
    charts: dict[str, str | None] = {}
    if (baselines := baselines_view(parts, str)) is not None:
        charts["baselines"] = baselines["chart"]
    if (learning := learning_view(parts, str)) is not None:
        charts["learning"] = learning["chart"]
    if (results := results_view(parts, str)) is not None:
        charts["calibration"] = results["calibration"]
    return {name: Picture(name, standalone(chart)) for name, chart in charts.items() if chart is not None}


def standalone(chart: str) -> str:
    """A chart of the report with its size, its paper and the rules of the page's style sheet (those of light pages)."""
    width, height = re.search(r'viewBox="0 0 (\S+) (\S+)"', chart).groups()  # type: ignore[union-attr]
    head, inner = chart.split(">", 1)
    paper = f'<rect width="{width}" height="{height}" fill="{_colours()["paper"]}"/>'
    return f'{head} width="{width}" height="{height}"><style>{_rules()}</style>{paper}{inner}'


@cache
def _colours() -> dict[str, str]:
    """The variables of the style sheet's first rule, which is that of light pages."""
    first = _STYLE.read_text(encoding="utf-8").partition("}")[0]
    return {name: value.strip() for name, value in re.findall(r"--([\w-]+):\s*([^;]+);", first)}


@cache
def _rules() -> str:
    """The rules for charts, with the values of their variables: not every viewer of pictures knows variables."""
    lines = [line for line in _STYLE.read_text(encoding="utf-8").splitlines() if line.startswith(".chart")]
    rules = "".join(line for line in lines if not line.startswith(".chart-"))
    return (
        re.sub(r"var\(--([\w-]+)\)", lambda found: _colours()[found[1]], rules)
        .replace("width: 100%;", "")
        .replace("height: auto;", "")
    )
