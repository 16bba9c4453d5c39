"""The baselines as one table: quality, difference to the tuned model, time and tokens."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.baselines.bench import TUNED
from luthier.evaluation.compare import Difference
from luthier.evaluation.result import METRIC_NAMES, Evaluation

if TYPE_CHECKING:
    from rich.console import RenderableType

    from luthier.baselines.result import BaselineResult, Baselines


def tables(found: Baselines) -> Iterator[RenderableType]:
    """The table, and below it what one should know."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    head, *rows = cells(found)
    table = Table(head[0], box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in head[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    yield Text()
    yield table
    yield Text()
    for line in remarks(found):
        yield Text(line)


def cells(found: Baselines) -> list[list[str]]:
    """The table as texts, its first row the names of the columns."""
    evaluations = [found.tuned] if found.tuned is not None else [result.evaluation for result in found.results[:1]]
    metric = METRIC_NAMES[evaluations[0].metric] if evaluations else "quality"
    tuned = found.tuned
    head = [f"{found.n:,} held-out rows", f"{metric}, %", *(["tuned minus it"] if tuned else [])]
    table = [[*head, "ms", "tokens"]]
    if tuned is not None:
        table.append([tuned.called(TUNED), _quality(tuned), "", *_costs_of(tuned)])
    for result in found.results:
        compared = found.comparison(result.name)
        difference = [] if tuned is None else [_signed(compared.primary) if compared is not None else ""]
        table.append([result.name, _quality(result.evaluation), *difference, *_costs(result)])
    return table


def remarks(found: Baselines) -> list[str]:
    """What stands below the table, a line each."""
    lines = ["In brackets: 95 % intervals. ms and tokens (prompt + new): means per request, many answered at once."]
    if found.encoder is not None:
        lines.append(f"Similar training rows were found by the sentence encoder {found.encoder}.")
    lines += [f"{result.name}: {note}" for result in found.results for note in result.notes]
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


def _quality(evaluation: Evaluation) -> str:
    found = evaluation.primary
    return "" if found is None else f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _signed(found: Difference) -> str:
    return f"{100 * found.difference:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def _costs_of(tuned: Evaluation) -> list[str]:
    tokens = f"{tuned.prompt_tokens / tuned.n:,.0f} + {tuned.new_tokens / tuned.n:,.0f}"
    return [f"{1000 * tuned.seconds / tuned.n:,.1f}", tokens]


def _costs(result: BaselineResult) -> list[str]:
    time, read, written = (
        result.milliseconds_per_request,
        result.prompt_tokens_per_request,
        result.new_tokens_per_request,
    )
    tokens = "" if read is None or written is None else f"{read:,.0f} + {written:,.0f}" if read else "none"
    return ["" if time is None else f"{time:,.1f}", tokens]
