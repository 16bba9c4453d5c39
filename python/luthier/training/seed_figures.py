"""The spread between runs that differ in the seed alone, measured on the rows that the first one was evaluated on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.training.output_folder import SEEDS
from luthier.training.seeds import done_seeds

if TYPE_CHECKING:
    from luthier.evaluation import Evaluation
    from luthier.training.run import Run


def with_seeds(
    run: Run, found: Evaluation, test: Any, place: Path, options: Mapping[str, Any], dtype: str | None = None
) -> Evaluation:
    """The evaluation `found` of a run with the figures of its runs with other seeds, and evaluation.json in `place`
    with them; as it was for a run without any.

    The others answer `test` with the same options, one model in memory at a time; what they answered goes to
    `place`/seeds/SEED. Raises what `luthier.evaluation.evaluate` raises.
    """
    done, missing = done_seeds(run.folder, run.record)
    if not done and not missing:
        return found
    from luthier.evaluation import SeedFigures, evaluate
    from luthier.evaluation.files import write_evaluation
    from luthier.training.run import Run as OtherRun

    figures = {int(run.settings["seed"]): found.figure}
    given = {**options, "max_new_tokens": found.max_new_tokens, "task": found.task, "calibration_rows": 0}
    start = options.get("on_start")
    for seed, folder in done.items():
        if start is not None:
            given["on_start"] = partial(_named_stage, start, seed)
        model = OtherRun(folder).model(dtype)
        figures[seed] = evaluate(model, test, out=place / SEEDS / str(seed), **given).figure
    seeds = SeedFigures(found.metric, figures, tuple(missing))
    found = replace(found, blocks=(*found.blocks, seeds))
    write_evaluation(found, place)
    return found


def _named_stage(start: Callable[[str], None], seed: int, stage: str) -> None:
    start(f"seed {seed}: {stage}")
