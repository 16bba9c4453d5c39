"""The plan of a fit, and the refusal of one that cannot fit."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import luthier as lu
import pytest
from fit_case import FitCase, luthier
from luthier.errors import InputError
from luthier.training import machine
from luthier.training.memory_plan import most_rows
from luthier.training.run_plan import RunPlan, plan_run
from luthier.training.survey import _is_chosen
from luthier.training.time_plan import line


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def tight(monkeypatch: pytest.MonkeyPatch, memory: int | None = None, disk: int | None = None) -> None:
    """A machine with so many bytes left."""
    if memory is not None:
        monkeypatch.setattr(machine, "available_bytes", lambda: memory)
    if disk is not None:
        monkeypatch.setattr(machine, "free_disk_bytes", lambda path: disk)


def test_the_plan_counts_what_the_fit_then_computes(case: FitCase) -> None:
    before = files(case.folder)
    plan = plan_run(case.settings())
    assert files(case.folder) == before
    run = case.fit()
    metrics = run.metrics
    assert plan.steps == len(metrics) == 8
    assert plan.surveyed_steps == plan.steps
    assert plan.rows == 13
    assert 2 * plan.tokens == sum(line["tokens"] for line in metrics)
    assert 2 * plan.supervised_tokens == sum(line["supervised_tokens"] for line in metrics)
    assert plan.computed_tokens == pytest.approx(sum(line["computed_tokens"] for line in metrics) / 2, abs=1)
    assert plan.computed_tokens < plan.tokens
    assert plan.largest_forest <= 120  # micro_tokens
    tensors = (run.folder / "adapter" / "adapter_model.safetensors").stat().st_size
    assert plan.disk.result < tensors < plan.disk.result + 10000
    checkpoint = run.folder / "checkpoints" / "step-000008" / "trainer.safetensors"
    assert plan.disk.checkpoint < checkpoint.stat().st_size < plan.disk.checkpoint + 20000
    assert plan.fits
    assert plan.time is not None


def test_full_fine_tuning_trains_every_parameter(case: FitCase) -> None:
    plan = plan_run(case.settings(adapter="full", rank=None, learning_rate=1e-4))
    assert plan.adapter == "full"
    assert plan.trained_parameters == plan.parameters
    assert plan.memory.trainer == 12 * plan.parameters  # fp32: gradients and moments; the weights are the masters


def test_a_plan_from_python_is_that_of_the_command_line(case: FitCase) -> None:
    settings = case.settings()
    train, model = settings.pop("train"), settings.pop("model")
    rank = settings.pop("rank")
    settings.pop("out")
    plan = lu.plan(train, model=model, adapter=lu.Lora(rank=rank), **settings)
    assert isinstance(plan, RunPlan)
    rows = [[{"role": m.role, "content": m.content} for m in record.messages] for record in lu.read(train)]
    from_memory = lu.plan(rows, model=model, adapter=lu.Lora(rank=rank), **settings)
    flags = [flag for flag in case.flags() if not flag.startswith("--out=")]
    status, out, err = luthier("plan", *flags[1:], "--json")
    assert (status, err) == (0, "")
    printed = json.loads(out)
    for key in ("rows", "tokens", "computed_tokens", "supervised_tokens", "steps", "parameters", "trained_parameters"):
        assert getattr(plan, key) == getattr(from_memory, key) == printed[key], key
    assert printed["memory"]["activations"] == plan.memory.activations
    assert printed["memory"]["peak"] >= printed["memory"]["needed"] > 0
    assert printed["time"]["total"] >= printed["time"]["training"] > 0


def test_a_plan_prints_well(case: FitCase) -> None:
    plan = plan_run(case.settings())
    for text in (repr(plan), plan._repr_html_()):
        for word in ("peak memory", "13", "steps", "time", "fits", "lora rank 4"):
            assert word in text, word
    status, out, _ = luthier("plan", *case.flags()[1:])
    assert status == 0
    assert "peak memory" in out
    assert not (case.folder / "run").exists()


def test_a_fit_without_memory_is_refused_with_what_would_fit(case: FitCase, monkeypatch: pytest.MonkeyPatch) -> None:
    many = {"micro_tokens": 4096, "batch_size": 13}
    plan = plan_run(case.settings(**many))
    needed = plan.memory.needed
    tight(monkeypatch, memory=needed - plan.memory.activations // 4)
    with pytest.raises(InputError, match="not enough memory: the fit needs .* more .* are available") as caught:
        case.fit(**many)
    assert not (case.folder / "run").exists()
    ways = str(caught.value).split("it would fit with ")[1].split(". ")[0].split(" or ")
    assert ways[0] == "--memory low"
    assert ways[1].startswith("--micro-tokens ")
    for number, way in enumerate(ways):
        flags = way.split()
        changes = {flag.removeprefix("--").replace("-", "_"): value for flag, value in zip(flags[::2], flags[1::2])}
        assert case.fit(str(number), **(many | changes)).status == "done"


def test_low_memory_plans_fewer_activations(case: FitCase) -> None:
    normal, low = plan_run(case.settings()), plan_run(case.settings(memory="low"))
    assert low.memory.activations < normal.memory.activations
    assert low.memory.trainer == normal.memory.trainer


def test_the_check_of_the_memory_can_be_skipped(case: FitCase, monkeypatch: pytest.MonkeyPatch) -> None:
    tight(monkeypatch, memory=1000)
    with pytest.raises(InputError, match="smaller model"):
        case.fit()
    plan = plan_run(case.settings())
    assert not plan.fits
    assert plan.time is None
    assert "not measured" in repr(plan)
    run = case.fit(skip_memory_check=True)
    assert "skip_memory_check" not in run.settings


def test_a_lower_rank_or_a_smaller_type_is_named_where_it_helps(case: FitCase, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_run(case.settings(rank=64))
    tight(monkeypatch, memory=plan.memory.needed - plan.memory.trainer // 2)
    advice = plan_run(case.settings(rank=64)).advice
    assert "--rank 32" in advice
    assert "--dtype bfloat16" in advice or plan.memory.activations < plan.memory.trainer


def test_a_fit_without_disk_is_refused(case: FitCase, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = plan_run(case.settings()).disk.needed
    tight(monkeypatch, disk=needed - 1)
    with pytest.raises(InputError, match="not enough room on the disk"):
        case.fit()
    assert not (case.folder / "run").exists()
    tight(monkeypatch, disk=needed)
    assert case.fit().status == "done"


def test_wrong_input_is_refused_as_by_fit(case: FitCase) -> None:
    for arguments, words in ((["--rank=0"], "'rank' is 0"), (["--model=./none"], "no file or folder")):
        status, _, err = luthier("plan", *case.flags()[1:], *arguments)
        assert status == 2
        assert words in err


def test_the_fewer_rows_that_fit_are_the_most_that_do() -> None:
    assert most_rows(lambda rows: rows <= 700, 4096) == 640
    assert most_rows(lambda rows: False, 4096) == 0
    assert most_rows(lambda rows: True, 4096) == 4032  # below, not as many as did not fit


def test_of_a_long_run_evenly_spread_steps_are_looked_at() -> None:
    for count in (1, 999, 1000, 1001, 2500, 100_000):
        chosen = [index for index in range(count) if _is_chosen(index, count)]
        assert len(chosen) == min(count, 1000)
        assert chosen[0] == 0
        gaps = [later - earlier for earlier, later in itertools.pairwise(chosen)]
        assert max(gaps, default=1) - min(gaps, default=1) <= 1


def test_the_pace_is_the_line_through_two_measurements() -> None:
    pace: Any = line(10.0, 3.0, 30.0, 7.0, 99)
    assert (pace.step_seconds, pace.flop_seconds, pace.measured_tokens) == (1.0, 0.2, 99)
    assert line(10.0, 3.0, 30.0, 12.0, 1) == replace(pace, step_seconds=0.0, flop_seconds=0.4, measured_tokens=1)
    assert line(10.0, 3.0, 30.0, 2.0, 1).step_seconds == 0.0
