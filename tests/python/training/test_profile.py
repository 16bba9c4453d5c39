"""A profile of a tiny model: every operation of a step is there, the shares add up, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fit_case import FitCase
from luthier.errors import InputError
from luthier.training.profile import OUTSIDE, Profile, profile_fit
from luthier.training.roofs import RoofProbe, Roofs

ROOFS = Roofs(bfloat16=4e12, float32=1e12, bandwidth=1e11)

ALWAYS = {
    "linear (weights)",
    "linear d_input (weights)",
    "attention",
    "attention backward",
    "token_logprob",
    "token_logprob backward",
    "rms_norm",
    "add_rms_norm",
    "rms_norm backward",
    "gated",
    "gated backward",
    "rope",
    "rope backward",
    "embedding",
    "adamw",
    "squared_norm",
}
LOW_RANK = {"linear (low-rank)", "linear d_input (low-rank)", "linear d_weight (low-rank)"}
FULL = {"linear d_weight (weights)", "embedding backward"}


def profiled(case: FitCase, steps: int = 2, **changes: Any) -> Profile:
    values = {key: value for key, value in case.settings(**changes).items() if key not in ("out", "valid")}
    return profile_fit(values, steps=steps, warm_up=1, probe=lambda: ROOFS)


def test_a_step_with_an_adapter_shows_thin_products_apart(case: FitCase) -> None:
    profile = profiled(case)
    assert {operation.name for operation in profile.operations} == ALWAYS | LOW_RANK
    assert profile.steps == 2
    assert profile.tokens >= profile.computed_tokens > 0


def test_a_step_over_all_weights_has_no_thin_products(case: FitCase) -> None:
    profile = profiled(case, adapter="full", rank=None)
    assert {operation.name for operation in profile.operations} == ALWAYS | FULL


def test_shares_add_up_with_what_is_outside(case: FitCase) -> None:
    profile = profiled(case)
    assert sum(profile.shares().values()) == pytest.approx(1)
    assert all(share > 0 for share in profile.shares().values())
    seconds = sum(operation.seconds for operation in profile.operations) + profile.outside_seconds
    assert seconds == pytest.approx(profile.step_seconds)
    longest_first = [operation.seconds for operation in profile.operations]
    assert longest_first == sorted(longest_first, reverse=True)


def test_rates_are_of_the_work_that_a_step_needs(case: FitCase) -> None:
    found = {operation.name: operation for operation in profiled(case, steps=1, batch_size=13).operations}
    head = found["token_logprob"]
    backward = found["token_logprob backward"]
    flops = head.flops_per_second * head.seconds
    assert backward.flops_per_second * backward.seconds == pytest.approx(2 * flops)
    products = found["linear d_input (weights)"]
    moved, computed = products.bytes_per_second / ROOFS.bandwidth, products.flops_per_second / ROOFS.float32
    assert products.roof_share == pytest.approx(max(moved, computed))


def test_the_roof_is_that_of_the_type(case: FitCase) -> None:
    assert ROOFS.product("bfloat16") == 4e12
    assert ROOFS.product("float32") == 1e12
    profile = profiled(case, dtype="bfloat16")
    assert profile.dtype == "bfloat16"
    assert Roofs.median([Roofs(1, 5, 9), Roofs(3, 4, 8), Roofs(2, 6, 7)]) == Roofs(2, 5, 8)


def test_a_profile_leaves_no_timing_behind_and_changes_no_fit(case: FitCase) -> None:
    from luthier import _core

    before = case.fit("before", epochs=1).metrics
    profiled(case)
    totals = {name: found.calls for name, found in _core.op_totals().items()}
    after = case.fit("after", epochs=1).metrics
    assert [line["loss"] for line in before] == [line["loss"] for line in after]
    assert {name: found.calls for name, found in _core.op_totals().items()} == totals


def test_nothing_is_written(case: FitCase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case.folder)
    before = sorted(path.name for path in case.folder.iterdir())
    profiled(case, steps=1)
    assert sorted(path.name for path in case.folder.iterdir()) == before


def test_the_roofs_are_measured(case: FitCase) -> None:
    roofs = RoofProbe(size=64, copied=1 << 16)()
    assert min(roofs.bfloat16, roofs.float32, roofs.bandwidth) > 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"train": None}, "no training rows"), ({"model": None}, "'model' is missing"), ({"rank": 0}, "'rank' is 0")],
)
def test_wrong_input_is_refused(case: FitCase, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        profiled(case, **changes)
    with pytest.raises(InputError, match="at least one step"):
        profiled(case, steps=0)


def test_the_command_prints_json_and_a_table(
    case: FitCase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from luthier.cli.main import run
    from luthier.training import profile

    monkeypatch.setattr(profile, "RoofProbe", lambda: lambda: ROOFS)
    arguments = ["profile", str(case.train), f"--model={case.model}", "--threads=1", "--steps=1", "--warm-up=0"]
    assert run([*arguments, "--rank=3", "--set", "batch-size=5", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed["shares"]) == ALWAYS | LOW_RANK | {OUTSIDE}
    assert sum(printed["shares"].values()) == pytest.approx(1)
    assert {operation["name"] for operation in printed["operations"]} == ALWAYS | LOW_RANK
    assert run(arguments) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in (*ALWAYS, *LOW_RANK, OUTSIDE))
    assert "GFLOP/s" in text and "…" not in text


def test_the_command_takes_the_options_of_a_fit_that_change_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    from luthier.cli.main import run

    assert run(["profile", "--help"]) == 0
    text = capsys.readouterr().out
    for option in (
        "--rank",
        "--targets",
        "--batch-size",
        "--micro-tokens",
        "--dtype",
        "--threads",
        "--config",
        "--set",
    ):
        assert f"{option} " in text
    for option in ("--out", "--resume", "--epochs", "--save-every"):
        assert f"{option} " not in text
    assert run(["profile", "rows.jsonl", "--out", str(Path("anywhere"))]) == 2
