"""What is known about the data before anything is judged: rows, format and how to override it, lengths, answers."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.checks.checked_file import CheckedFile
from luthier.checks.context import Context
from luthier.checks.labels import labels_of, spelling_key
from luthier.checks.texts import answer
from luthier.evaluation.json_answers import parse

__all__ = ["facts_of", "percentiles"]


def facts_of(context: Context) -> tuple[tuple[str, str], ...]:
    """(name, value) pairs for the head of the report."""
    data = context.data
    facts = [("file", data.name), ("rows", _rows(data)), ("format", _format(data))]
    for file in context.held_out:
        facts.append(("held out", f"{file.name}: {_rows(file)}"))
    if not data.rows:
        return tuple(facts)
    characters = [sum(len(message.content) for message in record.messages) for record in data.rows]
    facts.append(("characters", f"{percentiles(characters)} a row"))
    facts.append(("of answers", f"{percentiles([len(answer(record)) for record in data.rows])}"))
    if context.tokens is not None:
        lengths = [length for length in context.tokens.lengths if length]
        facts.append(("tokens", f"{percentiles(lengths)} a row, {sum(lengths):,} in all; {context.model}"))
    facts.append(("answers", _answers(data)))
    return tuple(facts)


def percentiles(values: Sequence[int]) -> str:
    """`p5 12, p50 40, p95 210, max 1,300`: the least values that so many percent of the values do not exceed."""
    if not values:
        return "none"
    ordered = sorted(values)
    parts = [f"p{percent} {ordered[-(-percent * len(ordered) // 100) - 1]:,}" for percent in (5, 50, 95)]
    return f"{', '.join(parts)}, max {ordered[-1]:,}"


def _rows(file: CheckedFile) -> str:
    return f"{file.total:,}" + (f", {len(file.bad):,} of them bad" if file.bad else "")


def _format(file: CheckedFile) -> str:
    if not file.layouts:
        return "rows in memory" if file.path is None else "unknown: no usable row"
    kind = "table with columns" if file.table else "JSON lines with keys"
    ordered = sorted(file.layouts.items(), key=lambda item: -item[1])
    keys = ", ".join(ordered[0][0][:8])
    others = f" (in {ordered[0][1]:,} rows; {len(ordered) - 1} other sets of keys)" if len(ordered) > 1 else ""
    override = "; --text and --label name the columns" if file.table else "; --system FILE adds a system message"
    return f"{kind} {keys}{others}{override}"


def _answers(file: CheckedFile) -> str:
    labels = labels_of(file)
    if labels is not None:
        return f"a closed set of {len({spelling_key(label) for label in labels}):,} labels: classification"
    some = [answer(record) for record in file.rows[:200]]
    if sum(isinstance(parse(text), dict | list) for text in some) * 2 > len(some):
        return "JSON"
    return f"free text, {len({answer(record) for record in file.rows}):,} distinct"
