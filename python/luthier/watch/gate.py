"""`gate_run`: a regression suite. Does a run answer a suite of chosen rows at least as well as another run?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError
from luthier.evaluation.intervals import mcnemar
from luthier.forgetting.checker import Checker, checker_from
from luthier.records import Record, read
from luthier.watch.gate_result import Gate, GateRow

if TYPE_CHECKING:
    from luthier.training.run import Run

_MARGIN = 1.25
_EXTRA_TOKENS = 8


def gate_run(
    run: Run,
    against: Run,
    suite: str | PathLike[str],
    strict: bool = False,
    max_new_tokens: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    **reading: Any,
) -> Gate:
    """Answers the rows of a suite with both runs, greedily, and holds the first against the second.

    A row ends with its right answer; the answer of a run is right when it equals that after stripping white space, or
    as JSON where it is an object or a list. `"check"` in a row sets another rule (see `luthier.forgetting.Checker`),
    and `"must": true` marks one that has to be right. The rows are read as those of each run, unless `reading`, options
    of `luthier.read`, says otherwise. Raises InputError for what cannot be read.
    """
    new_rows, old_rows = (read(suite, **asked.reading(**reading)) for asked in (run, against))
    checkers = [_checker(record) for record in new_rows]
    musts = [_must(record) for record in new_rows]
    total = 2 * len(new_rows)
    outputs: list[list[str]] = []
    for asked, records in ((run, new_rows), (against, old_rows)):
        model = asked.model()
        most = max_new_tokens or _longest(model.tokenizer.encode_text, records)
        begin = len(outputs) * len(new_rows)
        done = None if on_progress is None else lambda finished, begin=begin: on_progress(begin + finished, total)
        outputs.append(model.answer(records, most, on_done=done))
    rows = tuple(
        GateRow(
            file=record.file,
            line=record.line,
            must=must,
            expected=str(record.reference),
            new=new,
            old=old,
            new_right=_is_right(record, checker, new),
            old_right=_is_right(record, checker, old),
        )
        for record, checker, must, new, old in zip(new_rows, checkers, musts, *outputs, strict=True)
    )
    return Gate(str(run.folder), str(against.folder), str(new_rows.path), strict, rows, one_sided_p(rows))


def one_sided_p(rows: Sequence[GateRow]) -> float:
    """The chance of at least as many newly wrong rows among the changed ones, were both ways equally likely."""
    return mcnemar([row.old_right for row in rows], [row.new_right for row in rows], "greater").p


def _longest(encode: Callable[[str], list[int]], rows: Sequence[Record]) -> int:
    return int(max(len(encode(str(record.reference))) for record in rows) * _MARGIN) + _EXTRA_TOKENS


def _checker(record: Record) -> Checker | None:
    return checker_from(record.extra["check"], record.where) if "check" in record.extra else None


def _must(record: Record) -> bool:
    """The row's `must`; in CSV, the words true and false. Raises InputError for anything else."""
    value = record.extra.get("must", False)
    if isinstance(value, str) and value.strip().lower() in ("true", "false", ""):
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise InputError(f"{record.where}: `must` is {value!r}; it must be true or false")
    return value


def _is_right(record: Record, checker: Checker | None, output: str) -> bool:
    from luthier.evaluation.json_answers import parse, same

    if checker is not None:
        return checker.is_right(output)
    reference = str(record.reference)
    if output.strip() == reference.strip():
        return True
    value = parse(reference)
    return isinstance(value, dict | list) and same(parse(output), value)
