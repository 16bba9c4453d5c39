"""Everything that the report tells, read from the folder of a run; what is missing is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from luthier.baselines import Baselines
from luthier.errors import InputError
from luthier.evaluation import Evaluation, read_evaluation
from luthier.evaluation.files import EVALUATION_FILE
from luthier.report.error_rows import ErrorReport
from luthier.report.errors import errors_of
from luthier.training.ledger_file import LedgerLine, summarise
from luthier.verdict import Losses, Verdict, run_verdict
from luthier.verdict.files import CHECK_FILE, FORGETTING_FILE, optional_values
from luthier.verdict.gather import losses, matching_baselines

if TYPE_CHECKING:
    from luthier.training.run import Run

_Value = TypeVar("_Value")
_LEDGER_ROWS = 20


@dataclass(frozen=True)
class Parts:
    """The parts of a report; None or empty where a run has none. `notes` say what could not be read, and why."""

    folder: Path
    record: dict[str, Any]
    metrics: list[dict[str, float]] = field(default_factory=list)
    ledger: dict[str, Any] | None = None
    ledger_rows: list[LedgerLine] = field(default_factory=list)
    evaluation: Evaluation | None = None
    verdict: Verdict | None = None
    baselines: Baselines | None = None
    errors: ErrorReport | None = None
    losses: Losses = field(default_factory=Losses)
    check: Mapping[str, Any] | None = None
    forgetting: Mapping[str, Any] | None = None
    notes: list[str] = field(default_factory=list)


def parts_of(run: Run, results: Path | None = None) -> Parts:
    """The parts of a run, whose evaluation lies in `results` (default: in its own folder)."""
    place = results or run.folder
    notes: list[str] = []

    def attempt(read: Callable[[], _Value]) -> _Value | None:
        try:
            return read()
        except (InputError, OSError) as error:
            notes.append(str(error))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            notes.append(f"a file of {place} is damaged ({type(error).__name__}: {error})")
        return None

    record = run.record
    ledger = attempt(lambda: _ledger(run)) or ([], None)
    evaluation = attempt(lambda: read_evaluation(place)) if (place / EVALUATION_FILE).exists() else None
    metrics = attempt(lambda: run.metrics) or []
    parts: dict[str, Any] = {}
    if evaluation is not None:
        found = evaluation
        parts["verdict"] = attempt(lambda: run_verdict(run, results=place))
        parts["baselines"] = attempt(lambda: matching_baselines(place, found))
        parts["errors"] = attempt(lambda: errors_of(run, found, place))
        parts["losses"] = attempt(lambda: losses(run.folder, record, found)) or Losses()
    forgetting = attempt(lambda: optional_values(place / FORGETTING_FILE))
    return Parts(
        folder=run.folder,
        record=record,
        metrics=metrics,
        ledger=ledger[1] or record.get("rows"),
        ledger_rows=ledger[0],
        evaluation=evaluation,
        check=attempt(lambda: optional_values(place / CHECK_FILE)),
        forgetting=forgetting or attempt(lambda: optional_values(run.folder / FORGETTING_FILE)),
        notes=notes,
        **parts,
    )


def _ledger(run: Run) -> tuple[list[LedgerLine], dict[str, Any] | None]:
    """The first rows that were cut or dropped, and the counts over all."""
    lines = run.ledger
    touched = [line for line in lines if line["dropped"] is not None or line["tokens_cut"]]
    return touched[:_LEDGER_ROWS], summarise(lines) if lines else None
