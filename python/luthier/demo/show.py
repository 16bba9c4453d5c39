"""What a demo prints: for each stage the command that does the same, and the few lines that matter."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luthier.baselines import Baselines
    from luthier.checks.report import CheckReport
    from luthier.evaluation import Evaluation, Interval, Prediction
    from luthier.splits import Split
    from luthier.training.run import Run
    from luthier.verdict import Verdict

WIDTH = 110
_INDENT = "  "
_SHOWN_REASONS = 5
_SHOWN_FINDINGS = 4
_MARKS = {"untrusted": "-", "rethink": "-", "hold": "-", "passed": "+"}


class Say:
    """Prints to stdout, with colour on a terminal; `quiet` prints nothing."""

    def __init__(self, quiet: bool = False) -> None:
        from rich.console import Console

        self.quiet = quiet
        self.console = Console(quiet=quiet, highlight=False)

    def head(self, text: str) -> None:
        """A heading, with an empty line before it."""
        self.console.print(f"\n{text}", style="bold", markup=False, soft_wrap=True)

    def lines(self, texts: Iterable[str], style: str | None = None) -> None:
        """Lines below a heading; what the terminal cannot write is written as an escape."""
        encoding = self.console.encoding
        for text in texts:
            text = text.encode(encoding, "backslashreplace").decode(encoding)
            self.console.print(f"{_INDENT}{text}", markup=False, soft_wrap=True, style=style)

    def words(self, text: str) -> None:
        """A paragraph, broken to the width of the page."""
        self.lines(textwrap.wrap(text, WIDTH - len(_INDENT), break_long_words=False, break_on_hyphens=False))

    def outcome(self, verdict: Verdict) -> None:
        """SHIP, HOLD or RETHINK, and what it means."""
        from luthier.verdict.result import MEANING

        style = {"SHIP": "bold green", "HOLD": "bold yellow", "RETHINK": "bold magenta"}[verdict.outcome]
        self.lines([f"{verdict.outcome}  {MEANING[verdict.outcome]}"], style)


def check_lines(report: CheckReport, place: Path) -> Iterator[str]:
    """How many rows and tokens there are, and what is wrong with them."""
    from luthier.checks.show import short_lines

    known = dict(report.facts)
    tokens = f"; tokens {known['tokens'].partition(';')[0]}" if "tokens" in known else ""
    yield f"{report.rows:,} rows: {report.tally}{tokens}"
    found = [line.strip().replace(f"{place}{os.sep}", "") for line in list(short_lines(report))[1:]]
    yield from (clipped(line, WIDTH) for line in found[:_SHOWN_FINDINGS])
    if len(found) > _SHOWN_FINDINGS:
        yield f"(and {len(found) - _SHOWN_FINDINGS} more)"


def split_lines(found: Split) -> Iterator[str]:
    """What went where."""
    group = found.record["group"]
    whole = f"; all rows of a {group} on one side" if group is not None else ""
    yield ", ".join(f"{name} {count:,} rows" for name, count in found.counts.items()) + whole
    yield "test.jsonl is sealed: each time that it is opened is counted, and the report tells it"


def baseline_lines(found: Baselines) -> Iterator[str]:
    """The best that was reached."""
    from luthier.evaluation.result import METRIC_NAMES

    best = max(found.results, key=lambda one: value(one.evaluation.primary))
    metric = METRIC_NAMES[best.evaluation.metric]
    yield f"{len(found.results)} ways without fine-tuning; the best: {best.name}, {metric} {share(best.evaluation)}"


def fit_lines(run: Run) -> Iterator[str]:
    """Losses, and what became of the rows."""
    record, metrics = run.record, run.metrics
    best, rows = record.get("best"), record["rows"]
    kept = "" if best is None else f"; on the validation rows {best['valid_loss']:.3f} after step {best['step']}, kept"
    yield f"loss {metrics[0]['loss']:.3f} to {metrics[-1]['loss']:.3f} in {len(metrics)} steps{kept}"
    yield (
        f"{rows['used']:,} of {rows['rows']:,} rows used, {rows['cut']:,} cut; {rows['supervised_tokens']:,} tokens "
        "learned; ledger.jsonl accounts for each"
    )


def result_lines(tuned: Evaluation, baselines: Baselines) -> list[str]:
    """The tuned model and the baselines as a table."""
    from luthier.evaluation.result import METRIC_NAMES

    systems = [("tuned", tuned), *((one.name, one.evaluation) for one in baselines.results)]
    is_json = tuned.json_figures is not None
    head = [f"{tuned.n:,} rows never seen", METRIC_NAMES[tuned.metric]]
    head += (["exact", "valid JSON"] if is_json else []) + ["tuned minus it", "ms a request"]
    table = [head]
    for name, found in systems:
        cells = [name, share(found)]
        if is_json:
            figures = found.json_figures
            cells += [f"{found.exact_match:.1%}", "" if figures is None else f"{figures.valid_json:.1%}"]
        compared = baselines.comparison(name)
        cells.append("" if compared is None else points(compared.primary.interval))
        cells.append(f"{1000 * found.seconds / found.n:,.1f}")
        table.append(cells)
    return aligned(table)


def answer_lines(tuned: Evaluation, baselines: Baselines, asked: Sequence[str]) -> Iterator[str]:
    """A row that the tuned model has right and one that it has not, as far as there are such, the shortest first.
    `asked` are the rows' questions."""
    untuned = next((one.evaluation.predictions for one in baselines.results if one.kind == "prompt"), None)
    for right in (True, False):
        rows = [index for index, one in enumerate(tuned.predictions) if one.correct == right]
        if rows:
            index = min(rows, key=lambda row: len(asked[row]) + len(tuned.predictions[row].expected))
            before = None if untuned is None else untuned[index]
            yield from _answer(asked[index], before, tuned.predictions[index])


def _answer(asked: str, untuned: Prediction | None, tuned: Prediction) -> Iterator[str]:
    yield f"{'asked':<9} {clipped(asked, WIDTH - 12)}"
    if not tuned.correct:
        yield f"{'expected':<9} {clipped(tuned.expected, WIDTH - 12)}"
    elif untuned is not None:
        yield f"{'untuned':<9} {clipped(untuned.output, WIDTH - 12)}"
    mark = "right" if tuned.correct else "wrong"
    yield f"{'tuned':<9} {clipped(tuned.output, WIDTH - 20)}  [{mark}]"


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """The first reasons that decided; of everything else only how much it is."""
    first = verdict.deciding[0].effect if verdict.deciding else None
    deciding = [reason for reason in verdict.deciding if reason.effect == first]
    shown = deciding[:_SHOWN_REASONS]
    for reason in shown:
        line, *rest = textwrap.wrap(str(reason), WIDTH - 4, break_long_words=False, break_on_hyphens=False)
        yield f"{_MARKS[reason.effect]} {line}"
        yield from (f"  {line}" for line in rest)
    others = len(verdict.deciding) - len(shown)
    if verdict.outcome == "SHIP" and others:
        yield f"  ({others} more in order)"
    elif verdict.outcome != "SHIP" and (others or verdict.passed):
        yield f"  ({others} more against it, {len(verdict.passed)} in order)"


def times(seconds: dict[str, float]) -> str:
    """`1:02 in all: check 3 s, fit 57 s`."""
    from luthier.training.progress import duration

    parts = ", ".join(f"{name} {took:.0f} s" for name, took in seconds.items())
    return f"{duration(sum(seconds.values()))} in all: {parts}"


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """A table as lines: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def value(found: Interval | None) -> float:
    """The figure, 0 for none."""
    return 0.0 if found is None else found.value


def share(found: Evaluation) -> str:
    """The primary figure in percent, with its 95 % interval."""
    one = found.primary
    return "" if one is None else f"{one.value:.1%} [{100 * one.low:.1f}, {100 * one.high:.1f}]"


def points(difference: Interval) -> str:
    """A difference in points, with its 95 % interval."""
    low, high = 100 * difference.low, 100 * difference.high
    return f"{100 * difference.value:+.1f} [{low:+.1f}, {high:+.1f}]"


def clipped(text: str, width: int) -> str:
    """One line of a text, at most so wide, without what a terminal would obey."""
    text = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
    return text if len(text) <= width else f"{text[: width - 3]}..."
