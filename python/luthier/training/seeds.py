"""`fit --seeds N`: runs that differ from the first in the seed alone, in RUN/seeds/SEED."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import LuthierError
from luthier.training import run_record
from luthier.training.interrupts import Interrupted
from luthier.training.loop import fit_to_folder
from luthier.training.output_folder import SEEDS
from luthier.training.progress import Progress
from luthier.training.ranks import Ranks
from luthier.training.settings import FitSettings, StartSettings

if TYPE_CHECKING:
    from luthier.records.record import Record


def fit_seeds(
    settings: FitSettings,
    progress: Progress,
    train_records: Sequence[Record] | None = None,
    valid_records: Sequence[Record] | None = None,
    ranks: Ranks | None = None,
) -> Path:
    """Fits the run of the settings and then, one after the other, those of the seeds that follow its own.

    Each of the others is a whole run in its own folder. A run that is done is left alone, and one that was begun is
    continued, so that a stopped fit goes on where it was. Gives the first run's folder; raises what `fit_to_folder`
    raises.
    """
    ranks = ranks or Ranks()
    out, seeds = Path(settings.run.out), settings.run.seeds
    if settings.start.resume and ranks.first:
        _record_seeds(out, seeds)
    fit_to_folder(settings, progress, train_records, valid_records, ranks)
    for number, (seed, folder) in enumerate(other_seeds(out, settings.run.seed, seeds).items(), start=2):
        if _is_done(folder):
            continue
        progress.note(f"seed {seed}, run {number} of {seeds}: {folder}")
        try:
            fit_to_folder(_with_seed(settings, seed, folder), progress, train_records, valid_records, ranks)
        except Interrupted:
            again = f"{ranks.command} fit --resume --out {out}"
            raise Interrupted(f"stopped with seed {seed}, run {number} of {seeds}; continue with: {again}") from None
    return out


def other_seeds(out: Path, seed: int, seeds: int) -> dict[int, Path]:
    """The folders of the other runs, which need not exist, by seed."""
    return {other: out / SEEDS / str(other) for other in range(seed + 1, seed + seeds)}


def done_seeds(out: Path, record: Mapping[str, Any]) -> tuple[dict[int, Path], list[int]]:
    """The other runs of the run in `out` that are done, and the seeds of those that are not. Raises InputError for a
    damaged run.json."""
    settings = record["settings"]
    folders = other_seeds(out, int(settings.get("seed") or 0), int(settings.get("seeds") or 1))
    done = {seed: folder for seed, folder in folders.items() if _is_done(folder)}
    return done, [seed for seed in folders if seed not in done]


def _is_done(folder: Path) -> bool:
    return _is_begun(folder) and run_record.read_record(folder)["status"] == "done"


def _is_begun(folder: Path) -> bool:
    return (folder / run_record.RUN_FILE).exists()


def _with_seed(settings: FitSettings, seed: int, folder: Path) -> FitSettings:
    """The settings of another run. Rows and memory were looked at for the first; only that one opens the test rows."""
    start = StartSettings(resume=_is_begun(folder), no_check=True, skip_memory_check=True)
    run = settings.run.model_copy(update={"out": str(folder), "seed": seed, "seeds": 1})
    data = settings.data.model_copy(update={"test": None})
    return settings.model_copy(update={"run": run, "data": data, "start": start})


def _record_seeds(out: Path, seeds: int) -> None:
    """Notes in run.json how many seeds a continued fit is to have: that may change, as it changes no run."""
    record = run_record.read_record(out)
    if record["settings"].get("seeds", 1) == seeds:
        return
    record["settings"]["seeds"] = seeds
    try:
        run_record.write_record(out, record)
    except OSError as error:
        raise LuthierError(f"cannot write to {out}: {error.strerror or error}") from error
