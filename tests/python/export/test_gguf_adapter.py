"""GGUF adapters: named as llama.cpp wants them, read back, and right in the order of rows that the model's file has."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from luthier.errors import InputError
from luthier.export.adapter_config import AdapterConfig
from luthier.export.gguf_adapter import read_gguf_adapter, write_gguf_adapter
from luthier.export.gguf_model import GgufModel
from luthier.models import load
from tiny_model import TinyShape, make_tiny_model

IDS = [1, 40, 41, 42, 7, 99, 120, 2, 5]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("base") / "model", TinyShape(head_dim=6))


def random_adapter(base: Path, targets: list[str]) -> dict[str, torch.Tensor]:
    model = load(base, dtype="float32")
    model.decoder.attach_lora(4, 8.0, targets, False, 0)
    generator = torch.Generator().manual_seed(5)
    shapes = sorted(model.decoder.adapter_tensors().items())
    return {name: 0.3 * torch.randn(tensor.shape, generator=generator) for name, tensor in shapes}


def test_the_file_is_what_llama_cpp_asks_for(base: Path, tmp_path: Path) -> None:
    tensors = random_adapter(base, ["q_proj", "down_proj"])
    config = AdapterConfig(4, 8.0, ("q_proj", "down_proj"))
    write_gguf_adapter(tmp_path / "adapter.gguf", tensors, config, load(base).decoder.config)
    reader = gguf.GGUFReader(tmp_path / "adapter.gguf")
    wanted = {"general.type": "adapter", "adapter.type": "lora", "general.architecture": "llama"}
    assert {key: reader.fields[key].contents() for key in wanted} == wanted
    assert reader.fields["adapter.lora.alpha"].contents() == 8.0
    shapes = {tensor.name: tuple(int(size) for size in tensor.shape) for tensor in reader.tensors}
    # GGUF lists the dimensions from the inside: A reads 40 values and gives 4, B reads 4 and gives 24.
    assert shapes["blk.0.attn_q.weight.lora_a"] == (40, 4)
    assert shapes["blk.0.attn_q.weight.lora_b"] == (4, 24)
    assert len(shapes) == 3 * 2 * 2


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16"])
def test_it_is_read_back_as_it_was(kind: str, base: Path, tmp_path: Path) -> None:
    tensors = random_adapter(base, ["all-linear"])
    shape = load(base).decoder.config
    write_gguf_adapter(tmp_path / "a.gguf", tensors, AdapterConfig(4, 8.0, ("all-linear",)), shape, kind)
    found = read_gguf_adapter(tmp_path / "a.gguf", shape)
    assert (found.config.rank, found.config.alpha, len(found.modules)) == (4, 8.0, 21)
    dtype = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[kind]
    assert set(found.tensors) == set(tensors)
    for name, tensor in tensors.items():
        assert torch.equal(found.tensors[name], tensor.to(dtype).float()), name


def test_alpha_makes_up_for_what_the_file_cannot_say(base: Path, tmp_path: Path) -> None:
    tensors = random_adapter(base, ["v_proj"])
    shape = load(base).decoder.config
    config = AdapterConfig(4, 8.0, ("v_proj",), rslora=True)
    write_gguf_adapter(tmp_path / "a.gguf", tensors, config, shape)
    found = read_gguf_adapter(tmp_path / "a.gguf", shape).config
    assert found.scale == pytest.approx(8.0 / math.sqrt(4)) == pytest.approx(config.scale)


def test_added_to_the_weights_of_a_gguf_file_it_gives_the_adapted_model(base: Path, tmp_path: Path) -> None:
    """Without our reader of adapters: a wrong order of rows on both sides would not show there."""
    tensors = random_adapter(base, ["all-linear"])
    model = load(base, dtype="float32")
    GgufModel(model.decoder, model.tokenizer, model.source, "F32").write(tmp_path / "base.gguf")
    config = AdapterConfig(4, 8.0, ("all-linear",))
    write_gguf_adapter(tmp_path / "adapter.gguf", tensors, config, model.decoder.config)
    adapter = {tensor.name: tensor.data for tensor in gguf.GGUFReader(tmp_path / "adapter.gguf").tensors}
    changed = 0
    with (tmp_path / "base.gguf").open("r+b") as stream:
        for tensor in gguf.GGUFReader(tmp_path / "base.gguf").tensors:
            if f"{tensor.name}.lora_a" not in adapter:
                continue
            update = adapter[f"{tensor.name}.lora_b"] @ adapter[f"{tensor.name}.lora_a"] * (8.0 / 4)
            stream.seek(int(tensor.data_offset))
            stream.write((tensor.data + update).astype("float32").tobytes())
            changed += 1
    assert changed == 21
    model.decoder.attach_adapter(tensors, 4, 8.0, ["all-linear"], False)
    merged = load(tmp_path / "base.gguf", dtype="float32").logits(IDS)
    assert float((merged - model.logits(IDS)).norm() / merged.norm()) <= 1e-4


def test_what_is_no_adapter_of_the_model_is_refused(base: Path, tmp_path: Path) -> None:
    model = load(base, dtype="float32")
    GgufModel(model.decoder, model.tokenizer, model.source, "F16").write(tmp_path / "model.gguf")
    with pytest.raises(InputError, match="general.type is 'model' and not 'adapter'"):
        read_gguf_adapter(tmp_path / "model.gguf", model.decoder.config)

    def written(name: str, shapes: dict[str, tuple[int, int]], architecture: str = "llama") -> Path:
        writer = gguf.GGUFWriter(tmp_path / name, architecture)
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        for tensor, shape in shapes.items():
            writer.add_tensor(tensor, torch.zeros(shape).numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return tmp_path / name

    cases: list[tuple[Any, str]] = [
        (written("a", {"x": (2, 2)}, "gemma"), "general.architecture is 'gemma'"),
        (written("b", {"blk.0.attn_q.weight": (2, 2)}), "is no tensor of a LoRA adapter"),
        (written("c", {"blk.0.nothing.weight.lora_a": (2, 40)}), "has no other name"),
        (written("d", {"blk.0.attn_v.weight.lora_a": (2, 40), "blk.0.attn_o.weight.lora_a": (2, 40)}), "no other name"),
        (
            written("e", {"blk.0.attn_v.weight.lora_a": (2, 40), "blk.0.ffn_up.weight.lora_a": (3, 40)}),
            r"ranks \[2, 3\]; they must have one",
        ),
    ]
    for path, words in cases:
        with pytest.raises(InputError, match=words):
            read_gguf_adapter(path, model.decoder.config)
