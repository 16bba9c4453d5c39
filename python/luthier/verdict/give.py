"""The last step of `luthier evaluate`: measures what a verdict still needs, gives it, and keeps it."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier import durable
from luthier.errors import InputError
from luthier.verdict.files import CHECK_FILE, FORGETTING_FILE, write_values, write_verdict
from luthier.verdict.result import Verdict
from luthier.verdict.run import run_verdict
from luthier.verdict.thresholds import Thresholds

if TYPE_CHECKING:
    from luthier.training.run import Run


def give_verdict(
    run: Run,
    test: str | PathLike[str],
    thresholds: Thresholds | None = None,
    results: str | PathLike[str] | None = None,
    forgetting: bool = True,
    keep: str | PathLike[str] | None = None,
    on_start: Callable[[str], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """Checks the training rows against `test`, measures forgetting, and adds the verdict to evaluation.json.

    The run must have been evaluated on `test`, with its baselines; `results` is the folder with these (default: the
    run's own), which gets check.json and forgetting.json. `keep` are rows of the user's that the model should not
    forget. `on_start` hears the name of each stage, `on_progress` (answers finished, answers). Raises InputError where
    the run was not evaluated, and LuthierError where a file cannot be written.
    """
    place = Path(results) if results is not None else run.folder
    start = on_start or (lambda stage: None)
    start("checks of the training rows")
    write_values(place / CHECK_FILE, check_values(run, Path(test)))
    if forgetting:
        start("general material, before and after")
        write_values(place / FORGETTING_FILE, forgetting_values(run, keep, on_progress))
    found = run_verdict(run, thresholds or Thresholds(), place)
    write_verdict(found, place)
    return found


def check_values(run: Run, test: Path) -> dict[str, Any]:
    """The content of check.json: what `luthier check --json` finds in the run's training file beside the test file.

    Where the training file is gone or has changed, or cannot be checked, `findings` is empty and `note` says why.
    """
    from luthier.checks import check

    train = run.training_file()
    values: dict[str, Any] = {"train": None if train is None else str(train), "test": str(test)}
    if train is None:
        return values | {"findings": [], "note": "the training file is gone or has changed"}
    try:
        report = check(train, test=test, max_length=run.settings["max_length"], **run.reading())
        return values | {"test_sha256": durable.file_sha256(test)} | report.to_json()
    except InputError as error:
        return values | {"findings": [], "note": str(error)}


def forgetting_values(
    run: Run, keep: str | PathLike[str] | None, on_progress: Callable[[int, int], None] | None
) -> dict[str, Any]:
    """The content of forgetting.json. Raises InputError where the base model is gone."""
    from luthier.forgetting import run_forgetting

    return run_forgetting(run, keep=keep, on_progress=on_progress).to_json()
