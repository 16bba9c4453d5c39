"""`luthier errors`: what a run gets wrong, where it stands, and which training rows are near."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.baselines import Baselines
from luthier.baselines.retrieval import TfidfIndex
from luthier.baselines.texts import answer_text
from luthier.errors import InputError
from luthier.evaluation import Evaluation, Prediction, read_evaluation
from luthier.evaluation.json_answers import is_json
from luthier.records import Record, read
from luthier.report.doubt import SUSPECT, doubt
from luthier.report.error_rows import Confusion, ErrorReport, ErrorRow, Kind, Neighbour
from luthier.verdict.gather import matching_baselines

if TYPE_CHECKING:
    from luthier.training.run import Run

NEAREST = 5
_PLACES = 5
_MOST_CONFUSIONS = 200


def find_errors(run: str | PathLike[str] | Run, results: str | PathLike[str] | None = None) -> ErrorReport:
    """The rows that a run answered wrongly in its last evaluation, from predictions.jsonl and the training file.

    `results` is the folder with the evaluation (default: the run's own). Raises InputError where the run was not
    evaluated. What else is missing (the test file, the training file) is noted and left out.
    """
    from luthier.training.run import Run

    opened = run if isinstance(run, Run) else Run(run)
    place = opened.folder if results is None else Path(results)
    return errors_of(opened, read_evaluation(place), place)


def errors_of(run: Run, evaluation: Evaluation, place: Path) -> ErrorReport:
    """The same from an evaluation with its predictions; the baselines are those in `place`."""
    notes: list[str] = []
    # JSON and calls may be right in other words than those of the reference.
    wrong = [one for one in evaluation.predictions if not one.correct and one.score < 1.0]
    records = _test_rows(run, evaluation, wrong, notes)
    nearest = _nearest(run, records, notes)
    others = _other_answers(matching_baselines(place, evaluation))
    known = {one.expected.strip() for one in evaluation.predictions}
    rows = []
    for one, record, near in zip(wrong, records, nearest, strict=True):
        answers = others.get((one.file, one.line), {})
        found = doubt(one.expected, one.output, near, {kind: answer for kind, (_, answer) in answers.items()})
        agreeing = tuple(name for name, answer in answers.values() if answer.strip() == one.output.strip())
        rows.append(
            ErrorRow(
                file=one.file,
                line=one.line,
                kind=_kind(evaluation.task, one, known, found),
                expected=one.expected,
                output=one.output,
                score=one.score,
                prompt=None if record is None else record.question,
                doubt=found,
                agreeing=agreeing,
                nearest=tuple(near),
            )
        )
    rows.sort(key=lambda row: (row.score, row.doubt))
    confusions = _confusions(wrong) if evaluation.task == "classify" else ()
    return ErrorReport(evaluation.n, evaluation.task, evaluation.test, tuple(rows), confusions, notes)


def _kind(task: str, one: Prediction, known: set[str], found: float) -> Kind:
    if task == "classify" and one.output.strip() not in known:
        return "form"
    if task == "extract" and not is_json(one.output):
        return "form"
    return "label" if found >= SUSPECT else "answer"


def _confusions(wrong: Sequence[Prediction]) -> tuple[Confusion, ...]:
    counts = Counter((one.expected.strip(), one.output.strip()) for one in wrong)
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in wrong:
        places[one.expected.strip(), one.output.strip()].append(f"{one.file}:{one.line}")
    common = counts.most_common(_MOST_CONFUSIONS)
    return tuple(Confusion(*pair, count, tuple(places[pair][:_PLACES])) for pair, count in common)


def _test_rows(run: Run, evaluation: Evaluation, wrong: Sequence[Prediction], notes: list[str]) -> list[Record | None]:
    """The record of each wrong row, from the test file; None where it is gone or says something else now."""
    try:
        found = {(record.file, record.line): record for record in read(evaluation.test, **run.reading(skip_bad=True))}
    except InputError as error:
        notes.append(f"the rows' prompts are not shown: {error}")
        return [None] * len(wrong)
    records = [found.get((one.file, one.line)) for one in wrong]
    same = [
        record if record is not None and _is_same(record, one.expected) else None
        for one, record in zip(wrong, records, strict=True)
    ]
    if changed := sum(record is None for record in same):
        shown = "1 row is" if changed == 1 else f"{changed:,} rows are"
        notes.append(f"{evaluation.test} has changed since it was evaluated: {shown} shown without prompt")
    return same


def _is_same(record: Record, expected: str) -> bool:
    """Whether a row still ends with this answer. Tool calls were compared as the model's template writes them, so of
    these only the tools' names are looked for."""
    calls = record.messages[-1].tool_calls
    return record.reference == expected or (bool(calls) and all(call.name in expected for call in calls))


def _nearest(run: Run, records: Sequence[Record | None], notes: list[str]) -> list[list[Neighbour]]:
    """The training rows nearest to each record."""
    nothing: list[list[Neighbour]] = [[] for _ in records]
    asked = [index for index, record in enumerate(records) if record is not None]
    if not asked:
        return nothing
    path = run.training_file()
    if path is None:
        notes.append("the nearest training rows are not shown: the training file is gone or has changed")
        return nothing
    try:
        train = list(read(path, **run.reading(skip_bad=True)))
        index = TfidfIndex([row.question for row in train])
    except InputError as error:
        notes.append(f"the nearest training rows are not shown: {error}")
        return nothing
    queries = [record.question for record in records if record is not None]
    for place, found in zip(asked, index.similar(queries, NEAREST), strict=True):
        nothing[place] = [
            Neighbour(train[i].file, train[i].line, answer_text(train[i]), similarity)
            for i, similarity in found
            if similarity > 0
        ]
    return nothing


def _other_answers(baselines: Baselines | None) -> dict[tuple[str, int], dict[str, tuple[str, str]]]:
    """By row: the answers of the baselines, as kind to (name, answer). A constant says nothing about a row."""
    found: dict[tuple[str, int], dict[str, tuple[str, str]]] = defaultdict(dict)
    for result in [] if baselines is None else baselines.results:
        if result.kind not in ("constant", "tuned"):  # nor do the tuned model's own free answers
            for one in result.evaluation.predictions:
                kind = result.name if result.kind == "predictions" else result.kind
                found[one.file, one.line][kind] = (result.name, one.output)
    return found
