"""How a verdict looks at a terminal and in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.verdict.result import MEANING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from luthier.verdict.result import Verdict

_STYLES = {"SHIP": "bold green", "HOLD": "bold yellow", "RETHINK": "bold magenta"}
_COLOURS = {"SHIP": "#2e7d32", "HOLD": "#b26a00", "RETHINK": "#8e24aa"}


def lines(verdict: Verdict, with_thresholds: bool = False) -> Iterator[RenderableType]:
    """The outcome, why, what is in order, what is worth knowing and, where asked for, the thresholds."""
    from rich.padding import Padding
    from rich.text import Text

    yield Text()
    yield Text.assemble((verdict.outcome, _STYLES[verdict.outcome]), f"  {MEANING[verdict.outcome]}")
    for reason in verdict.deciding:
        yield _item("-", str(reason))
    if verdict.outcome != "SHIP" and verdict.passed:
        yield Text("In order:")
        for reason in verdict.passed:
            yield _item("+", str(reason))
    if verdict.remarks:
        yield Text("Worth knowing:")
        for reason in verdict.remarks:
            yield _item(".", str(reason))
    if with_thresholds:
        yield Text("Thresholds:")
        yield Padding(_threshold_table(verdict), (0, 0, 0, 2))


def _item(mark: str, text: str) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    # A table of two columns keeps the lines of a long reason under one another.
    table = Table.grid(padding=(0, 1))
    table.add_column(width=3, justify="right")
    table.add_column()
    table.add_row(mark, Text(text))
    return table


def _threshold_table(verdict: Verdict) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for name, value, why in verdict.thresholds.rows():
        table.add_row(Text(name), Text(value), Text(why))
    return table


def as_html(verdict: Verdict) -> str:
    """The same for notebooks."""

    def items(texts: list[str]) -> str:
        return "<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in texts) + "</ul>" if texts else ""

    outcome = verdict.outcome
    head = f"<b style='color:{_COLOURS[outcome]};font-size:1.4em'>{outcome}</b> {html.escape(MEANING[outcome])}"
    rest = [] if outcome == "SHIP" else [str(reason) for reason in verdict.passed]
    rest += [str(reason) for reason in verdict.remarks]
    more = f"<details><summary>also looked at</summary>{items(rest)}</details>" if rest else ""
    cells = "".join(
        f"<tr><td style='text-align:left'>{html.escape(name)}</td><td>{html.escape(value)}</td>"
        f"<td style='text-align:left'>{html.escape(why)}</td></tr>"
        for name, value, why in verdict.thresholds.rows()
    )
    limits = f"<details><summary>thresholds</summary><table>{cells}</table></details>"
    return f"<div>{head}{items(verdict.reasons)}{more}{limits}</div>"
