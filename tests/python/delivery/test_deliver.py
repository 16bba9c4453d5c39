"""Each format is exported, verified, and opened again by Luthier; what cannot be exported leaves nothing."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from delivery_case import WIDE, change_json, left_in, named
from fit_case import FitCase, make_case, write_rows
from luthier import durable
from luthier.delivery import Export
from luthier.errors import InputError, LuthierError
from luthier.export.gguf_model import GgufModel
from luthier.models import load
from luthier.training.run import Run
from tiny_gguf import make_tiny_gguf
from tiny_model import make_tiny_model

IDS = [1, 40, 41, 42, 7, 99, 120, 2, 5]
QUANTS = ["Q8_0", "Q4_0", "Q4_K"]
EVERY: list[dict[str, Any]] = [
    {"format": "peft"},
    {"format": "peft", "dtype": "bfloat16"},
    {"format": "merged"},
    {"format": "merged", "dtype": "float32"},
    {"format": "gguf"},
    {"format": "gguf", "dtype": "bfloat16"},
    *({"format": "gguf", "quant": quant} for quant in QUANTS),
    {"format": "gguf-lora"},
    {"format": "gguf-lora", "dtype": "float16"},
]


@pytest.mark.parametrize("options", EVERY, ids=named)
def test_every_format_is_written_and_passes(options: dict[str, Any], run: Run, tmp_path: Path) -> None:
    heard: list[str] = []
    found = run.export(tmp_path / "out", **options, on_stage=heard.append)
    assert left_in(tmp_path) == ["out"]
    assert heard[0] == "loading the trained model"
    assert heard[-1] == "asking the exported files, loaded anew"
    written = json.loads((tmp_path / "out" / "export.json").read_text())
    assert (written["export"], written["verified"], written["run"]) == (options["format"], True, "run")
    verification = written["verification"]
    assert (verification["rows"]["kind"], verification["rows"]["prompts"], verification["faults"]) == (
        "validation",
        5,
        [],
    )
    assert verification["token_ids"] == (None if options["format"] == "gguf-lora" else {"differ": []})
    agreement = verification["agreement"]
    assert agreement["positions"] > 5
    assert 0.8 < agreement["carried"] < 1.2
    assert agreement["kl"] <= verification["floor"]["kl"]
    files = {path.name: path for path in (tmp_path / "out").iterdir()}
    assert set(written["files"]) == set(files) - {"export.json"}
    for name, facts in written["files"].items():
        content = files[name].read_bytes()
        assert facts == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert "5 prompts of" in str(found)
    assert "what it changed is there" in found._repr_html_()


def test_full_fine_tuning_is_exported_with_its_own_head(full_run: Run, tmp_path: Path) -> None:
    merged = full_run.export(tmp_path / "merged", dtype="float32")
    config = json.loads((tmp_path / "merged" / "config.json").read_text())
    assert config["tie_word_embeddings"] is False
    trained = full_run.model("float32")
    gguf = full_run.export(tmp_path / "gguf", "gguf", dtype="float32")
    for export, file in ((merged, "."), (gguf, "model-F32.gguf")):
        again = load(Path(export) / file, dtype="float32")
        assert torch.allclose(again.logits(IDS), trained.logits(IDS), rtol=1e-4, atol=1e-4)
    for format in ("peft", "gguf-lora"):
        with pytest.raises(InputError, match=f"trained all weights, so it has no adapter to write as {format}"):
            full_run.export(tmp_path / "adapter", format)
    assert left_in(tmp_path) == ["gguf", "merged"]


def test_a_quantised_base_is_warned_of_and_verified(tmp_path: Path) -> None:
    plain = load(make_tiny_model(tmp_path / "model", WIDE), dtype="float32")
    GgufModel(plain.decoder, plain.tokenizer, plain.source, "Q8_0").write(tmp_path / "base.gguf")
    run = make_case(tmp_path, tmp_path / "base.gguf").fit("run")
    found = run.export(tmp_path / "merged")
    assert len(found.warnings) == 1
    assert "came in quantised blocks (15 Q8_0): the adapter was fitted to these rounded weights" in found.warnings[0]
    assert json.loads((tmp_path / "merged" / "export.json").read_text())["warnings"] == list(found.warnings)
    assert found.verification is not None
    assert run.export(tmp_path / "lora", "gguf-lora").warnings == ()


def test_a_gguf_base_goes_into_every_format(tmp_path: Path) -> None:
    base = make_tiny_gguf(make_tiny_model(tmp_path / "model"), tmp_path / "base.gguf")
    run = make_case(tmp_path, base).fit("run")
    for options in ({"format": "peft"}, {"format": "merged"}, {"format": "gguf"}, {"format": "gguf-lora"}):
        found = run.export(tmp_path / options["format"], **options)
        assert found.warnings == (), "F32 is not rounded"
        assert found.verification is not None


def test_thirty_two_rows_are_tried_and_long_ones_left_out(wide_case: FitCase, run: Run, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", 70)
    found = run.export(tmp_path / "out", rows=rows)
    assert found.verification is not None
    prompts = found.verification.prompts
    assert (prompts.kind, len(prompts.ids), prompts.file) == ("given", 32, str(rows))
    lines = [record.line for record in prompts.records]
    assert lines == sorted(set(lines)) and lines[0] <= 3 and lines[-1] >= 67
    long = {"messages": [{"role": "user", "content": "x " * 200}, {"role": "assistant", "content": "y"}]}
    rows.write_text(rows.read_text() + (json.dumps(long) + "\n") * 5)
    again = run.export(tmp_path / "again", rows=rows).verification
    assert again is not None and max(len(ids) for ids in again.prompts.ids) < 200
    only = tmp_path / "only.jsonl"
    only.write_text(json.dumps(long) + "\n")
    with pytest.raises(InputError, match="no row has a prompt that leaves room for an answer; name others with --rows"):
        run.export(tmp_path / "none", rows=only)


def test_the_training_rows_stand_in_and_missing_rows_are_said(tmp_path: Path) -> None:
    case = make_case(tmp_path, make_tiny_model(tmp_path / "model"))
    run = case.fit("run", valid=None)
    found = run.export(tmp_path / "out")
    assert found.verification is not None and found.verification.prompts.kind == "training"
    case.train.unlink()
    with pytest.raises(InputError, match="the rows of .* are not there .*--rows FILE, or .* --no-verify"):
        run.export(tmp_path / "other")
    assert not (tmp_path / "other").exists()
    assert run.export(tmp_path / "other", verify=False).verification is None
    written = json.loads((tmp_path / "other" / "export.json").read_text())
    assert (written["verified"], written["verification"]) == (False, "left out with --no-verify")


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "free_disk_bytes", lambda path: 1_200_000)
    with pytest.raises(InputError, match=r"needs about \d+ MB and its disk has 1.2 MB free"):
        run.export(tmp_path / "out")
    assert left_in(tmp_path) == []


def test_a_disk_that_fills_up_leaves_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(GgufModel, "write", full)
    with pytest.raises(LuthierError, match="No space left on device; nothing was left there"):
        run.export(tmp_path / "out", "gguf")
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("most", [0, 2_000, 60_000])
@pytest.mark.parametrize("format", ["peft", "merged", "gguf", "gguf-lora"])
def test_files_that_may_not_be_so_large_leave_nothing(format: str, most: int, run: Run, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, usual[1]))
    try:
        with pytest.raises(LuthierError) as caught:
            run.export(tmp_path / "out", format)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert not isinstance(caught.value, InputError), "nothing is wrong with what the user asked for"
    assert re.search("File too large|took only a part", str(caught.value))
    assert left_in(tmp_path) == []


def test_an_interruption_leaves_nothing(run: Run, tmp_path: Path) -> None:
    def stop(stage: str) -> None:
        if stage.startswith("asking the exported files"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.export(tmp_path / "out", on_stage=stop)
    assert left_in(tmp_path) == []


def test_a_folder_in_use_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        run.export(tmp_path / "mine")
    assert left_in(tmp_path / "mine") == ["notes"]


@pytest.fixture
def copied(run: Run, wide_case: FitCase, tmp_path: Path) -> tuple[Run, Path]:
    """A copy of the run and of its base model, to be spoilt."""
    model, adapter, record_file = (tmp_path / name for name in ("model", "run/adapter", "run/run.json"))
    shutil.copytree(run.folder, tmp_path / "run")
    shutil.copytree(wide_case.model, model)
    config_file = adapter / "adapter_config.json"
    change_json(config_file, base_model_name_or_path=str(model))
    record = json.loads(record_file.read_text())
    record["settings"]["model"] = str(model)
    record["sha256"]["adapter"][config_file.name] = durable.file_sha256(config_file)
    record_file.write_text(json.dumps(record))
    copy = Run(tmp_path / "run")
    copy.export(tmp_path / "whole", verify=False)
    return copy, model


def other_weights(run: Run, model: Path) -> str:
    make_tiny_model(model, seed=9)
    return f"was fitted to '{model}' with the .*, and what is there now, {model}, has the"


def other_adapter(run: Run, model: Path) -> str:
    change_json(run.folder / "adapter" / "adapter_config.json", base_model_name_or_path="some/other-model")
    return f"is for the model 'some/other-model', but the run was fitted to '{model}'"


def changed_adapter(run: Run, model: Path) -> str:
    path = run.folder / "adapter" / "adapter_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    return "adapter_model.safetensors is not what the run wrote"


def missing_weights(run: Run, model: Path) -> str:
    (model / "model.safetensors").unlink()
    return "has the model.safetensors missing"


def weights_that_cannot_be_read(run: Run, model: Path) -> str:
    (model / "model.safetensors").unlink()
    (model / "model.safetensors").mkdir()
    return "model.safetensors: cannot be read: Is a directory"


def other_shapes(run: Run, model: Path) -> str:
    """Without the digests, as an older run.json has them, the shapes still tell."""
    change_json(run.folder / "run.json", sha256={})
    shutil.rmtree(model)
    make_tiny_model(model)
    return f"adapter .* is not for '{model}': "


@pytest.mark.parametrize(
    "spoil",
    [other_weights, other_adapter, changed_adapter, missing_weights, weights_that_cannot_be_read, other_shapes],
    ids=lambda f: f.__name__,
)
def test_an_adapter_for_another_base_is_refused_with_both_names(
    spoil: Callable[[Run, Path], str], copied: tuple[Run, Path], tmp_path: Path
) -> None:
    words = spoil(*copied)
    with pytest.raises(InputError, match=words):
        copied[0].export(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_is_a_path(run: Run, tmp_path: Path) -> None:
    found = run.export(tmp_path / "out", verify=False)
    assert isinstance(found, Export)
    assert Path(found) == tmp_path / "out"
    assert load(found, dtype="float32").decoder.dtype == "float32"
    assert "not verified" in repr(found)
