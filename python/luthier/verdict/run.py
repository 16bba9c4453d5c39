"""`luthier verdict`: the verdict on a run, from the files in its folder."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.errors import InputError
from luthier.verdict.files import stored_thresholds
from luthier.verdict.gather import gather
from luthier.verdict.judge import judge_run
from luthier.verdict.result import Verdict
from luthier.verdict.thresholds import Thresholds

if TYPE_CHECKING:
    from luthier.training.run import Run


def run_verdict(
    run: str | PathLike[str] | Run, thresholds: Thresholds | None = None, results: str | PathLike[str] | None = None
) -> Verdict:
    """The verdict on a run that was evaluated; nothing is computed anew and nothing is written.

    `results` is the folder with its evaluation.json (default: the run's own). `thresholds` are by default those of the
    verdict before, or the defaults. Raises InputError where the run was not evaluated, or where a file is damaged.
    """
    folder = Path(run) if isinstance(run, str | PathLike) else run.folder
    place = folder if results is None else Path(results)
    limits = thresholds or stored_thresholds(place)
    evidence = gather(folder, place)
    try:
        return judge_run(evidence, limits)
    except (TypeError, ValueError, AttributeError, KeyError, IndexError) as error:  # a value of another kind in a file
        raise InputError(
            f"{place}: the files of the run do not fit together ({type(error).__name__}: {error}); evaluate it again"
        ) from error
