"""The baselines as one table: quality, difference to the tuned model, time and tokens."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.evaluation.compare import Difference
from luthier.evaluation.result import METRIC_NAMES, Evaluation, with_interval

if TYPE_CHECKING:
    from rich.console import RenderableType

    from luthier.baselines.result import Baselines

_TUNED = "the tuned model"


def tables(found: Baselines) -> Iterator[RenderableType]:
    """The table, and below it what one should know."""
    from rich.table import Table
    from rich.text import Text

    head, *rows = cells(found)
    table = Table(head[0])
    for name in head[1:]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*map(Text, row))
    yield table
    for line in remarks(found):
        yield Text(line)


def cells(found: Baselines) -> list[list[str]]:
    """The table as texts, its first row the names of the columns."""
    evaluations = [found.tuned] if found.tuned is not None else [result.evaluation for result in found.results[:1]]
    metric = METRIC_NAMES[evaluations[0].metric] if evaluations else "quality"
    tuned = found.tuned
    head = [f"{found.n:,} held-out rows", f"{metric}, %", *(["tuned minus it", "p (exact)"] if tuned else [])]
    table = [[*head, "ms", "prompt tokens", "new tokens"]]
    if tuned is not None:
        table.append([_TUNED, with_interval(tuned.primary), "", "", *_tuned_costs(tuned)])
    for result in found.results:
        compared = found.comparison(result.name)
        row = [result.name, with_interval(result.evaluation.primary)]
        if tuned is not None:
            row += ["", ""] if compared is None else [_signed(compared.primary), f"{compared.exact_match.p:.2g}"]
        row += [
            _number(result.milliseconds_per_request, 1),
            _number(result.prompt_tokens_per_request, 0),
            _number(result.new_tokens_per_request, 0),
        ]
        table.append(row)
    return table


def remarks(found: Baselines) -> list[str]:
    """What stands below the table, a line each."""
    lines = [f"{result.name}: {note}" for result in found.results for note in result.notes]
    lines += [f"{skipped.name}: not run: {skipped.reason}" for skipped in found.skipped]
    saved = found.prompt_tokens_saved_per_million_requests
    if saved is not None:
        lines.append(f"Without the examples a million requests take {saved:,} fewer tokens of prompt.")
    return lines


def as_html(found: Baselines) -> str:
    """The same in HTML."""
    head, *rows = cells(found)
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    below = "".join(f"<p>{html.escape(line)}</p>" for line in remarks(found))
    return f"<table><tr>{top}</tr>{body}</table>{below}"


def _tuned_costs(tuned: Evaluation) -> list[str]:
    tokens = tuned.prompt_tokens / tuned.n if tuned.prompt_tokens else None
    return [_number(1000 * tuned.seconds / tuned.n, 1), _number(tokens, 0), _number(tuned.new_tokens / tuned.n, 0)]


def _signed(found: Difference) -> str:
    low, high = (f"{100 * end:+.1f}" for end in (found.low, found.high))
    return f"{100 * found.difference:+.1f} ({low} to {high})"


def _number(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:,.{places}f}"
