"""`fit --seeds`: runs that differ in the seed alone, stopped and continued, evaluated, and in the verdict."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from fit_case import FitCase, adapter_bytes, write_rows
from luthier.cli.main import run as luthier
from luthier.errors import InputError
from luthier.evaluation import SeedFigures, read_evaluation
from luthier.training.interrupts import Interrupted
from luthier.training.metrics_log import StepMetrics
from luthier.training.progress import SilentProgress
from luthier.training.run import Run, run_fit
from luthier.training.seeds import done_seeds, fit_seeds
from luthier.training.settings import compose


class StopInRun(SilentProgress):
    """Sends Ctrl-C to this process after some step of one of the runs."""

    def __init__(self, run: int, step: int) -> None:
        self._run, self._step, self._runs = run, step, 0

    def start(self, first_step: int, total_steps: int) -> None:
        self._runs += 1

    def step(self, metrics: StepMetrics, valid_loss: float | None) -> None:
        if self._runs == self._run and metrics["step"] == self._step:
            signal.raise_signal(signal.SIGINT)


def resume(case: FitCase, **changes: Any) -> Run:
    return run_fit({"out": str(case.folder / "run"), "resume": True, **changes}, quiet=True)


def test_each_seed_has_the_run_that_a_fit_with_this_seed_makes(case: FitCase) -> None:
    run = case.fit(seed=4, seeds=3)
    runs = run.seed_runs
    assert [one.folder for one in runs] == [run.folder, run.folder / "seeds" / "5", run.folder / "seeds" / "6"]
    for seed, one in zip((4, 5, 6), runs, strict=True):
        alone = case.fit(f"alone-{seed}", seed=seed)
        assert one.settings["seed"] == seed and one.status == "done"
        assert adapter_bytes(one.folder) == adapter_bytes(alone.folder)
        assert one.settings | {"seeds": 1, "out": ""} == alone.settings | {"out": ""}
    assert "seeds 4, 5, 6; valid loss " in repr(run)
    assert case.fit("one").seed_runs[0].settings["seeds"] == 1


@pytest.mark.parametrize(("number", "step"), [(1, 3), (2, 1), (2, 8), (3, 5)])
def test_a_stopped_fit_goes_on_where_it_was(case: FitCase, number: int, step: int) -> None:
    whole = case.fit("whole", seeds=3)
    out = case.folder / "run"
    with pytest.raises(Interrupted) as stopped:
        fit_seeds(compose(case.settings(seeds=3)), StopInRun(number, step))
    assert str(stopped.value).endswith(f"continue with: luthier fit --resume --out {out}")
    if number > 1:
        assert f"stopped with seed {number - 1}, run {number} of 3" in str(stopped.value)
        done, missing = done_seeds(out, Run(out).record)
        assert len(done) == number - 2 and missing == list(range(number - 1, 3))
    metrics = (out / "seeds" / "1" / "metrics.jsonl").read_text() if number > 2 else None
    continued = resume(case)
    assert [adapter_bytes(one.folder) for one in continued.seed_runs] == [
        adapter_bytes(one.folder) for one in whole.seed_runs
    ]
    if metrics is not None:  # a run that was done is not made again
        assert (out / "seeds" / "1" / "metrics.jsonl").read_text() == metrics


def test_a_run_that_is_done_gets_more_seeds(case: FitCase) -> None:
    run = case.fit()
    before = adapter_bytes(run.folder)
    more = resume(case, seeds=2)
    assert [one.settings["seed"] for one in more.seed_runs] == [0, 1]
    assert adapter_bytes(run.folder) == before and run.settings["seeds"] == 2
    assert [one.settings["seed"] for one in resume(case).seed_runs] == [0, 1]


def test_overwrite_removes_the_runs_of_all_seeds(case: FitCase) -> None:
    run = case.fit(seeds=2)
    case.fit(overwrite=True)
    assert not (run.folder / "seeds").exists() and run.seed_runs[1:] == []
    with pytest.raises(InputError, match="already holds a run"):
        case.fit(seeds=2)


def test_seeds_leave_the_range_of_seeds_in_no_run(case: FitCase) -> None:
    with pytest.raises(InputError, match="'seed' is 9223372036854775807, with 2 seeds"):
        case.fit(seed=(1 << 63) - 1, seeds=2)
    with pytest.raises(InputError, match="'seeds' is 0"):
        case.fit(seeds=0)


def test_an_evaluation_shows_the_spread_between_the_runs(case: FitCase, tmp_path: Path) -> None:
    run = case.fit(seeds=2)
    test = write_rows(case.folder / "test.jsonl", 6, first=90)
    found = run.evaluate(test)
    seeds = found.block(SeedFigures)
    assert seeds is not None and list(seeds.runs) == [0, 1] and seeds.missing == ()
    assert seeds.runs[0] == found.figure
    alone = Run(run.folder / "seeds" / "1").evaluate(test, out=tmp_path / "alone")
    assert seeds.runs[1] == alone.figure
    assert read_evaluation(run.folder).to_json() == found.to_json()
    assert read_evaluation(run.folder / "seeds" / "1").figure == seeds.runs[1]
    assert run.record["test_opened"][next(iter(run.record["test_opened"]))]["times"] == 1
    values = json.loads((run.folder / "evaluation.json").read_text())["seeds"]
    assert [one["seed"] for one in values["runs"]] == [0, 1]
    assert values["mean"] == pytest.approx(sum(seeds.runs.values()) / 2)
    elsewhere = run.evaluate(test, out=tmp_path / "elsewhere")
    assert elsewhere.block(SeedFigures) == seeds
    assert read_evaluation(tmp_path / "elsewhere" / "seeds" / "1").n == 6


def test_seeds_that_are_not_fitted_yet_are_named(case: FitCase) -> None:
    with pytest.raises(Interrupted):
        fit_seeds(compose(case.settings(seeds=3)), StopInRun(3, 1))
    run = Run(case.folder / "run")
    found = run.evaluate(write_rows(case.folder / "test.jsonl", 6, first=90))
    seeds = found.block(SeedFigures)
    assert seeds is not None and list(seeds.runs) == [0, 1] and seeds.missing == (2,)
    assert ("seeds not fitted yet", "2") in list(found.figures())


def test_the_command_line_fits_and_evaluates_them(case: FitCase, capsys: pytest.CaptureFixture[str]) -> None:
    test = write_rows(case.folder / "test.jsonl", 6, first=90)
    assert luthier([*case.flags(seeds=2, test=str(test)), "--json"]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert [one["seed"] for one in result["seeds"]] == [0, 1]
    assert result["seeds"][1]["out"].endswith("seeds/1") and result["seeds"][1]["status"] == "done"
    assert "seed 1, run 2 of 2" in printed.err
    out = str(case.folder / "run")
    assert luthier(["evaluate", out, "--test", str(test), "--k", "1", "--no-forgetting", "--json"]) == 3
    values = json.loads(capsys.readouterr().out)
    assert len(values["seeds"]["runs"]) == 2
    assert any(text.startswith("over 2 seeds the ") for text in values["remarks"] + values["passed"])
    assert luthier(["report", out]) == 0
    assert "over 2 seeds" in (case.folder / "run" / "report.html").read_text()
    assert luthier(["fit", "--resume", "--out", out]) == 0
    assert "the run is done with seed 0" in capsys.readouterr().err


def test_a_plan_counts_all_seeds(case: FitCase) -> None:
    import luthier as lu

    values = case.settings()
    values.pop("train")
    one = lu.plan(case.train, **values)
    three = lu.plan(case.train, **values, seeds=3)
    assert three.disk.needed == 3 * one.disk.needed
    assert "for each of 3 seeds" in repr(three) and "seeds" not in repr(one)
