"""How the errors of a run look at a terminal and in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from luthier.report.error_rows import ErrorReport, ErrorRow

_WIDTH = 110
_CONFUSIONS = 10


def lines(found: ErrorReport, limit: int) -> Iterator[RenderableType]:
    """The counts, the confusions, the worst rows and the labels that look wrong, `limit` rows of each at most."""
    from rich.table import Table
    from rich.text import Text

    labels = found.of("label")
    yield Text(summary(found))
    for note in found.notes:
        yield Text(note)
    if found.confusions:
        table = Table.grid(padding=(0, 2))
        table.add_column()
        table.add_column(justify="right")
        table.add_column()
        table.add_row("\nConfusions: expected, got", "\nrows", "\nat")
        for one in found.confusions[: min(limit, _CONFUSIONS)]:
            names = f"  {_short(one.expected, 30)} -> {_short(one.output, 30)}"
            table.add_row(Text(names), f"{one.count:,}", Text(", ".join(one.places[:2])))
        yield table
    yield from _section("Worst rows", [row for row in found.rows if row.kind != "label"], limit)
    yield from _section("Labels that look wrong: near training rows and the bag of words say otherwise", labels, limit)


def summary(found: ErrorReport) -> str:
    """One line of counts."""
    forms, labels = len(found.of("form")), len(found.of("label"))
    how = "differ from their reference" if found.task == "write" else "are wrong"
    parts = [f"{len(found.rows):,} of {found.n:,} rows of {found.test} {how}"]
    if forms:
        parts.append(f"{forms:,} of them in their form")
    if labels:
        parts.append(f"for {labels:,} the label looks wrong, not the answer")
    return "; ".join(parts)


def _section(title: str, rows: Sequence[ErrorRow], limit: int) -> Iterator[RenderableType]:
    from rich.text import Text

    if not rows:
        return
    yield Text(f"\n{title}")
    for row in rows[:limit]:
        score = "" if row.score in (0.0, 1.0) else f"  ({row.score:.2f})"
        yield Text(f"  {row.where}{score}")
        texts = [("asked", row.prompt)] if row.prompt is not None else []
        for name, text in [*texts, ("expected", row.expected), ("got", row.output)]:
            yield Text(f"    {name:<8}  {_short(text)}", no_wrap=True, overflow="ellipsis")
        for one in row.nearest[:2]:
            yield Text(f"    nearest   {one.where} ({one.similarity:.2f})  {_short(one.answer, 60)}")
    if len(rows) > limit:
        yield Text(f"  ... and {len(rows) - limit:,} more (--limit N, --json, luthier report)")


def as_html(found: ErrorReport, limit: int) -> str:
    """The worst rows as a table for notebooks."""
    rows = [*found.of("label")[: limit // 4], *(row for row in found.rows if row.kind != "label")][:limit]
    cells = "".join(
        "<tr>"
        + "".join(
            f"<td style='text-align:left'>{html.escape(text)}</td>"
            for text in (
                row.where,
                "label?" if row.kind == "label" else row.kind,
                _short(row.prompt or ""),
                _short(row.expected),
                _short(row.output),
                "; ".join(f"{one.where} {_short(one.answer, 40)}" for one in row.nearest[:2]),
            )
        )
        + "</tr>"
        for row in rows
    )
    head = "".join(f"<th>{name}</th>" for name in ("row", "kind", "asked", "expected", "got", "nearest training rows"))
    return f"<table><caption>{html.escape(summary(found))}</caption><tr>{head}</tr>{cells}</table>"


def _short(text: str, width: int = _WIDTH) -> str:
    text = " ".join(text.split())
    return (text if len(text) <= width else text[: width - 3] + "...") or "(empty)"
