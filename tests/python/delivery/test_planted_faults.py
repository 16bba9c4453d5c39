"""Faults planted in the exported files: the verification finds every one, says it with numbers, and leaves nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from delivery_case import change_json, left_in
from fit_case import FitCase
from luthier.delivery.files import Planned, plan_files
from luthier.errors import LuthierError
from luthier.export.gguf_model import GgufModel
from luthier.formats import read_safetensors, write_safetensors
from luthier.models import load
from luthier.text.tokenizer import Tokenizer
from luthier.training.run import Run

Tamper = Callable[[Path], None]
DELIVER = import_module("luthier.delivery.deliver")  # the package gives the function of that name


@pytest.fixture
def tampered(monkeypatch: pytest.MonkeyPatch) -> Callable[[Tamper], None]:
    """Lets a function spoil the files between writing and verifying."""

    def plant(tamper: Tamper) -> None:
        def planned(*arguments: Any) -> Planned:
            good = plan_files(*arguments)

            def write(folder: Path) -> None:
                good.write(folder)
                tamper(folder)

            return replace(good, write=write)

        monkeypatch.setattr(DELIVER, "plan_files", planned)

    return plant


def refused(run: Run, place: Path, **options: Any) -> str:
    """The message with which an export fails; nothing may be left of it."""
    with pytest.raises(LuthierError) as caught:
        run.export(place / "out", **options)
    assert left_in(place) == []
    text = str(caught.value)
    assert "failed its verification and was not kept: " in text
    return text


def rewrite_tensors(path: Path, change: Callable[[str, Any], Any]) -> None:
    tensors = read_safetensors(path)
    write_safetensors(path, {name: change(name, tensor) for name, tensor in tensors.items()}, {"format": "pt"})


def rewrite_gguf(path: Path, change: Callable[[str, Any], Any]) -> None:
    """Replaces the stored bytes of tensors by others of the same size."""
    with path.open("r+b") as stream:
        for tensor in gguf.GGUFReader(path).tensors:
            changed = np.ascontiguousarray(change(tensor.name, np.array(tensor.data)))
            stream.seek(int(tensor.data_offset))
            stream.write(changed.tobytes())


def unpermuted(heads: dict[str, int]) -> Callable[[str, Any], Any]:
    """Query and key rows put back into the order of Transformers, as a writer leaves them that forgot about it."""

    def change(name: str, stored: Any) -> Any:
        count = next((heads[part] for part in heads if f".{part}." in name and not name.endswith("lora_a")), None)
        if count is None:
            return stored
        return stored.reshape(count, -1, 2, stored.shape[-1]).swapaxes(1, 2).reshape(stored.shape)

    return change


HEADS = {"attn_q": 4, "attn_k": 2}


def test_an_adapter_that_was_not_merged_equals_the_base(
    run: Run, wide_case: FitCase, tampered: Callable[[Tamper], None], tmp_path: Path
) -> None:
    tampered(lambda folder: shutil.copy(wide_case.model / "model.safetensors", folder) and None)
    text = refused(run, tmp_path, dtype="float32")
    assert "it has 0% of what the fit changed, so it answers as the base model" in text
    assert "largest difference of logits" in text


@pytest.mark.parametrize("quant", ["F16", "Q8_0", "Q4_K"])
def test_a_gguf_file_of_the_base_is_found_at_every_size(
    quant: str, run: Run, wide_case: FitCase, tampered: Callable[[Tamper], None], tmp_path: Path
) -> None:
    base = load(wide_case.model, dtype="float32")

    def tamper(folder: Path) -> None:
        GgufModel(base.decoder, base.tokenizer, base.source, quant).write(folder / f"model-{quant}.gguf")

    tampered(tamper)
    assert "answers as the base model" in refused(run, tmp_path, format="gguf", quant=quant)


@pytest.mark.parametrize("options", [{"format": "gguf"}, {"format": "gguf", "quant": "Q4_0"}, {"format": "gguf-lora"}])
def test_query_and_key_rows_in_the_wrong_order_are_found(
    options: dict[str, Any], run: Run, tampered: Callable[[Tamper], None], tmp_path: Path
) -> None:
    tampered(lambda folder: rewrite_gguf(next(folder.glob("*.gguf")), unpermuted(HEADS)))
    assert "divergence from the trained model" in refused(run, tmp_path, **options)


@pytest.mark.parametrize("format", ["merged", "peft"])
def test_another_tokenizer_is_found(format: str, run: Run, tampered: Callable[[Tamper], None], tmp_path: Path) -> None:
    def tamper(folder: Path) -> None:
        description = json.loads((folder / "tokenizer.json").read_text())
        description["model"]["merges"] = description["model"]["merges"][:3]
        (folder / "tokenizer.json").write_text(json.dumps(description))

    tampered(tamper)
    text = refused(run, tmp_path, format=format)
    assert "its tokenizer and template give other token ids in 5 of 5 rows, " in text
    assert "valid.jsonl:1 first" in text


def test_another_tokenizer_in_a_gguf_file_is_found(
    run: Run, tampered: Callable[[Tamper], None], tmp_path: Path
) -> None:
    model = run.model("float32")
    description = json.loads(json.dumps(model.tokenizer.description))
    description["model"]["merges"] = description["model"]["merges"][:3]
    other = Tokenizer(
        description, special_tokens=model.tokenizer.special_tokens, chat_template=model.tokenizer.chat_template
    )

    def tamper(folder: Path) -> None:
        GgufModel(model.decoder, other, model.source, "F16").write(folder / "model-F16.gguf")

    tampered(tamper)
    assert "other token ids in 5 of 5 rows" in refused(run, tmp_path, format="gguf")


def test_another_template_is_found(run: Run, tampered: Callable[[Tamper], None], tmp_path: Path) -> None:
    def tamper(folder: Path) -> None:
        path = folder / "chat_template.jinja"
        path.write_text(path.read_text().replace("assistant\n", "assistant:\n"))

    tampered(tamper)
    assert "other token ids in 5 of 5 rows" in refused(run, tmp_path)


def test_other_end_tokens_are_found(run: Run, tampered: Callable[[Tamper], None], tmp_path: Path) -> None:
    tampered(lambda folder: change_json(folder / "generation_config.json", eos_token_id=[2, 7]))
    assert "it stops at the tokens [2, 7] and not at 2" in refused(run, tmp_path)


@pytest.mark.parametrize(
    "options", [{"format": "merged"}, {"format": "gguf"}, {"format": "gguf-lora"}, {"format": "peft"}], ids=str
)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.7, 0.99])
def test_a_truncated_file_is_found(
    share: float, options: dict[str, Any], run: Run, tampered: Callable[[Tamper], None], tmp_path: Path
) -> None:
    def tamper(folder: Path) -> None:
        path = next(path for path in sorted(folder.iterdir()) if path.suffix in (".gguf", ".safetensors"))
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    tampered(tamper)
    assert "it cannot be loaded: " in refused(run, tmp_path, **options)


def test_a_number_that_is_none_is_found(run: Run, tampered: Callable[[Tamper], None], tmp_path: Path) -> None:
    def change(name: str, tensor: Any) -> Any:
        if name == "model.layers.1.mlp.down_proj.weight":
            tensor[3, 4] = float("nan")
        return tensor

    tampered(lambda folder: rewrite_tensors(folder / "model.safetensors", change))
    assert "model.layers.1.mlp.down_proj.weight holds values that are not finite" in refused(run, tmp_path)


@pytest.mark.parametrize("factor", [0.0, 3.0, -1.0])
def test_an_adapter_of_the_wrong_strength_is_found(
    factor: float, run: Run, tampered: Callable[[Tamper], None], tmp_path: Path
) -> None:
    tampered(
        lambda folder: rewrite_tensors(
            folder / "adapter_model.safetensors",
            lambda name, tensor: tensor * factor if ".lora_B." in name else tensor,
        )
    )
    text = refused(run, tmp_path, format="peft")
    assert ("answers as the base model" in text) == (factor <= 0)


def test_one_layer_left_out_is_found(
    run: Run, wide_case: FitCase, tampered: Callable[[Tamper], None], tmp_path: Path
) -> None:
    base = read_safetensors(wide_case.model / "model.safetensors")

    def change(name: str, tensor: Any) -> Any:
        return base[name].to(tensor.dtype) if ".layers.1." in name else tensor

    tampered(lambda folder: rewrite_tensors(folder / "model.safetensors", change))
    refused(run, tmp_path)


def test_a_fault_of_the_files_is_not_left_under_the_final_name_with_checks_either(
    run: Run, tampered: Callable[[Tamper], None], tmp_path: Path
) -> None:
    tampered(lambda folder: change_json(folder / "adapter_config.json", modules_to_save=["lm_head"]))
    text = refused(run, tmp_path, format="peft", check=["vllm"])
    assert "modules_to_save" in text
