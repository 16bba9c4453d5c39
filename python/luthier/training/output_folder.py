"""The output folder of a run: who may write there, and what may be removed from it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from luthier import durable
from luthier.errors import InputError, LuthierError
from luthier.training.run_record import RUN_FILE, read_record
from luthier.training.settings import StartSettings

SEEDS: Final = "seeds"
"""The folder of the runs that differ in the seed alone, by seed."""
OWN_FOLDERS: Final = ("adapter", "model", "checkpoints", SEEDS)
OWN_FILES: Final = (
    "metrics.jsonl",
    "ledger.jsonl",
    "evaluation.json",
    "predictions.jsonl",
    "free_predictions.jsonl",
    "baselines.json",
    "baseline_predictions.jsonl",
    "check.json",
    "forgetting.json",
    "reference.npz",
    "report.html",
    RUN_FILE,
)
"""The names that a run writes; `--overwrite` removes these and nothing else. run.json goes last, so that a removal that
was cut short is still known as a run."""


def check_output(out: Path, start: StartSettings, inputs: Sequence[str | None] = ()) -> None:
    """Refuses, before any work is done, an output folder that the run may not use.

    `inputs` are paths the run reads; with `overwrite` none of them may be among what would be removed. Raises
    InputError.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: this is a file; give --out a folder")
    if start.resume:
        read_record(out)
        return
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / RUN_FILE).exists():
        raise InputError(f"{out}: the folder holds files but no run; give --out a new or empty folder")
    if not start.overwrite:
        raise InputError(
            f"{out}: already holds a run; continue it with --resume, replace it with --overwrite, "
            "or choose another --out"
        )
    doomed = [(out / name).resolve() for name in (*OWN_FOLDERS, *OWN_FILES)]
    for given in inputs:
        path = Path(given).resolve() if given else None
        if path is not None and any(path == own or own in path.parents for own in doomed):
            raise InputError(
                f"{given}: is read by this run but belongs to the one that --overwrite would remove; "
                "choose another --out"
            )


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Makes the folder and holds it for this process; the system lets go of it when the process ends, however it ends.

    Raises InputError when another process is writing a run there, LuthierError when the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise LuthierError(f"{out}: cannot write there: {error.strerror or error}; choose another --out") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InputError(f"{out}: another process is writing this run; wait for it or choose another --out") from None
    try:
        yield
    finally:
        os.close(descriptor)


def clear_run(out: Path) -> None:
    """Removes the run in a folder, and only the names that runs write. Raises OSError."""
    for name in OWN_FOLDERS:
        durable.remove_folder(out / name)
    for name in OWN_FILES:
        (out / name).unlink(missing_ok=True)
