"""A whole fit on the real core: its files, its figures, and what it does with rows it cannot use."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from fit_case import FitCase, adapter_bytes
from luthier.errors import InputError
from tiny_model import chat

METRIC_KEYS = [
    "step", "loss", "learning_rate", "grad_norm", "rows", "tokens", "computed_tokens", "supervised_tokens", "seconds",
    "peak_rss_bytes",
]  # fmt: skip


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_fit_learns_and_leaves_its_files(case: FitCase) -> None:
    run = case.fit(epochs=6)
    assert run.status == "done"
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "adapter",
        "checkpoints",
        "ledger.jsonl",
        "metrics.jsonl",
        "reference.npz",
        "run.json",
    ]
    names = {path.name for path in (run.folder / "adapter").iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "chat_template.jinja"} <= names
    losses = [line["loss"] for line in run.metrics]
    assert losses[-1] < 0.7 * losses[0]


def test_metrics_have_one_line_per_step_with_the_keys_of_the_contract(case: FitCase) -> None:
    run = case.fit()
    metrics = lines(run.folder / "metrics.jsonl")
    assert [line["step"] for line in metrics] == list(range(1, 9))
    assert [list(line) for line in metrics] == [
        METRIC_KEYS + (["valid_loss"] if step in (4, 8) else []) for step in range(1, 9)
    ]
    assert [line["rows"] for line in metrics] == [4, 4, 4, 1] * 2
    assert metrics[0]["learning_rate"] == 0.0
    assert all(line["computed_tokens"] <= line["tokens"] for line in metrics)
    tokens = sum(line["tokens"] for line in run.ledger)
    assert sum(line["tokens"] for line in metrics) == 2 * tokens
    assert sum(line["supervised_tokens"] for line in metrics) == 2 * sum(
        line["supervised_tokens"] for line in run.ledger
    )


def test_the_ledger_has_one_line_per_row_bad_rows_included(case: FitCase) -> None:
    good = [json.dumps({"messages": chat(f"file {i}", "read")}) for i in range(200)]
    good[7] = "no json"
    good[9] = json.dumps({"messages": [*chat("file"), {"role": "assistant", "content": "x", "weight": 0}]})
    good[11] = json.dumps({"messages": chat("the file at " * 60, "read")})
    case.train.write_text("".join(line + "\n" for line in good))
    run = case.fit(epochs=1, max_length=100, batch_size=50)
    ledger = run.ledger
    assert [line["line"] for line in ledger] == list(range(1, 201))
    assert all(
        list(line)[:6] == ["file", "line", "tokens", "supervised_tokens", "end_supervised", "tokens_cut"]
        for line in ledger
    )
    dropped = {line["line"]: line["dropped"] for line in ledger if line["dropped"] is not None}
    assert set(dropped) == {8, 10, 12}
    assert "JSON" in dropped[8]
    assert dropped[10] == "no supervised token"
    assert "truncation to 100 tokens" in dropped[12]
    assert ledger[11]["tokens_cut"] > 0
    assert all(line["end_supervised"] and line["times_seen"] == 1 for line in ledger if line["dropped"] is None)
    assert run.record["rows"]["used"] == 197


def test_run_json_tells_what_the_run_was_made_of(case: FitCase) -> None:
    run = case.fit(epochs=1)
    record = run.record
    assert record["settings"]["rank"] == 4
    assert record["settings"]["threads"] == 1
    assert record["settings"]["model"] == str(case.model)
    hashes = record["sha256"]
    assert hashes["train_file"] == hashlib.sha256(case.train.read_bytes()).hexdigest()
    assert (
        hashes["model"]["model.safetensors"]
        == hashlib.sha256((case.model / "model.safetensors").read_bytes()).hexdigest()
    )
    written = {name: hashlib.sha256(data).hexdigest() for name, data in adapter_bytes(run.folder).items()}
    assert hashes["adapter"] == written
    assert {"luthier", "torch", "python"} <= set(record["versions"])
    assert {"processor", "threads"} <= set(record["machine"])
    assert record["loss"] == run.metrics[-1]["loss"]


def test_the_best_validation_checkpoint_becomes_the_adapter(case: FitCase) -> None:
    # The validation rows contradict the training rows, so the validation loss grows once training bites.
    case.valid.write_text(
        "".join(json.dumps({"messages": chat(f"the file at {i}", "Zzz" * 8)}) + "\n" for i in range(5))
    )
    changes = {"epochs": None, "steps": 12, "save_every": 2, "schedule": "constant", "learning_rate": 5e-2}
    run = case.fit(**changes)
    valid = {int(line["step"]): line["valid_loss"] for line in run.metrics if "valid_loss" in line}
    best = min(valid, key=lambda step: valid[step])
    assert best < 12, "the case does not overfit, so it tests nothing"
    assert run.record["best"] == {"step": best, "valid_loss": valid[best]}
    short = case.fit("short", **{**changes, "steps": best})
    assert adapter_bytes(run.folder) == adapter_bytes(short.folder)


def test_without_validation_the_last_step_is_the_result(case: FitCase) -> None:
    run = case.fit(valid=None, epochs=1)
    assert run.record["best"] is None
    assert all("valid_loss" not in line for line in run.metrics)


def test_file_order_is_the_order_of_the_file(case: FitCase) -> None:
    first = case.fit("a", order="file", seed=1, valid=None, epochs=1)
    second = case.fit("b", order="file", seed=2, valid=None, epochs=1)
    shuffled = case.fit("c", order="shuffled", valid=None, epochs=1)
    assert [line["tokens"] for line in first.metrics] == [line["tokens"] for line in second.metrics]
    assert [line["tokens"] for line in first.metrics] != [line["tokens"] for line in shuffled.metrics]


def test_the_same_settings_give_the_same_bytes_and_another_seed_does_not(case: FitCase) -> None:
    first, second, other = case.fit("a"), case.fit("b"), case.fit("c", seed=1)
    assert adapter_bytes(first.folder) == adapter_bytes(second.folder)
    assert (
        adapter_bytes(first.folder)["adapter_model.safetensors"]
        != adapter_bytes(other.folder)["adapter_model.safetensors"]
    )


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_low_memory_changes_not_a_byte(case: FitCase, adapter: str) -> None:
    own = {"adapter": adapter} | ({"rank": None, "alpha": None} if adapter == "full" else {})
    normal, low = case.fit("a", **own), case.fit("b", memory="low", **own)
    assert low.settings["memory"] == "low"
    assert [line["loss"] for line in normal.metrics] == [line["loss"] for line in low.metrics]
    result = "adapter/adapter_model.safetensors" if adapter == "lora" else "model/model.safetensors"
    assert (normal.folder / result).read_bytes() == (low.folder / result).read_bytes()


def test_a_fit_can_start_from_an_adapter(case: FitCase) -> None:
    first = case.fit("a")
    second = case.fit("b", rank=None, adapter_init=str(first.folder / "adapter"), epochs=1, warmup=0)
    assert second.settings["rank"] == 4
    assert second.metrics[0]["loss"] < first.metrics[0]["loss"]
    with pytest.raises(InputError, match="'rank' is 8 but the adapter .* has 4"):
        case.fit("c", rank=8, adapter_init=str(first.folder / "adapter"))


def test_full_fine_tuning_leaves_a_model_folder(case: FitCase) -> None:
    run = case.fit(adapter="full", rank=None, learning_rate=1e-3, epochs=6)
    assert not (run.folder / "adapter").exists()
    assert run.adapter is None
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        path.name for path in (run.folder / "model").iterdir()
    }
    assert run.metrics[-1]["loss"] < run.metrics[0]["loss"]
    assert run.model().adapter is None


def test_all_rows_dropped_is_an_error_that_says_what_to_raise(case: FitCase) -> None:
    with pytest.raises(
        InputError, match=r"no supervised token left after truncation to 10 tokens .* raise --max-length"
    ):
        case.fit(max_length=10)
    rows = [{"messages": [*chat("file"), {"role": "assistant", "content": "x", "weight": 0}]}] * 3
    case.train.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match="no supervised token in any of 3 rows"):
        case.fit()
    assert not (case.folder / "run").exists()


def test_a_row_longer_than_micro_tokens_still_runs(case: FitCase) -> None:
    whole, split = case.fit("a", epochs=1, micro_tokens=4096), case.fit("b", epochs=1, micro_tokens=1)
    for a, b in zip(whole.metrics, split.metrics, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("alpha", "words"), [(1e4, r"train\.jsonl:\d+: .*not finite"), (1e30, r"is not finite after step")]
)
def test_what_is_not_finite_stops_the_run_and_is_not_saved(case: FitCase, alpha: float, words: str) -> None:
    import torch
    from luthier.errors import LuthierError
    from luthier.training.checkpoint import Checkpoints

    wild = {"learning_rate": 1.0, "clip": 0, "schedule": "constant", "warmup": 0, "valid": None}
    with pytest.raises(LuthierError, match=words):
        case.fit(alpha=alpha, epochs=10, save_every=1 if alpha < 1e9 else 100, **wild)
    out = case.folder / "run"
    record = json.loads((out / "run.json").read_text())
    assert record["status"] == "failed"
    assert "not finite" in record["error"]
    assert not (out / "adapter").exists()
    checkpoints = Checkpoints(out / "checkpoints")
    for step in checkpoints.steps():
        assert all(bool(torch.isfinite(tensor).all()) for tensor in checkpoints.load_tensors(step).values())
