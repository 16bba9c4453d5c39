"""Models of every family go into GGUF files and come back with the same logits, an adapter merged or beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from luthier.export.adapter_config import AdapterConfig
from luthier.export.gguf_adapter import read_gguf_adapter, write_gguf_adapter
from luthier.export.gguf_model import GgufModel
from luthier.export.gguf_names import FAMILIES
from luthier.models import Model, load
from tiny_model import make_tiny_tokenizer

IDS = [1, 40, 41, 42, 7, 99, 120, 2, 5, 60, 61, 62]
_COMMON: dict[str, Any] = {
    "hidden_size": 40,
    "intermediate_size": 56,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 10,
    "max_position_embeddings": 256,
    "pad_token_id": None,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "gemma": {"num_key_value_heads": 1},
    "gemma2": {"sliding_window": 5, "query_pre_attn_scalar": 10, "num_hidden_layers": 4},
    "gemma3_text": {"sliding_window": 5, "query_pre_attn_scalar": 10, "num_hidden_layers": 7},
    "granite": {
        "embedding_multiplier": 3.0,
        "attention_multiplier": 0.21,
        "residual_multiplier": 0.4,
        "logits_scaling": 1.7,
    },
    "llama": {},
    "mistral": {"sliding_window": None},
    "olmo2": {},
    "phi3": {"sliding_window": 5},
    "qwen2": {},
    "qwen3": {"head_dim": 14},
    "smollm3": {"num_hidden_layers": 5},
}
_SCALED: dict[str, dict[str, Any]] = {
    "linear": {"factor": 3.0},
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 8},
}


def make_model(name: str, folder: Path, changes: Mapping[str, Any] | None = None) -> Model:
    """A random model of a family with the tiny tokenizer; `changes` are further settings."""
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = make_tiny_tokenizer()
    settings = {
        **_COMMON,
        **SETTINGS[name],
        **(changes or {}),
        "vocab_size": len(tokenizer),
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **settings))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load(folder, dtype="float32")


def adapt(model: Model) -> dict[str, torch.Tensor]:
    """Attaches a random adapter to all layers, and gives its tensors."""
    model.decoder.attach_lora(4, 8.0, ["all-linear"], False, 0)
    generator = torch.Generator().manual_seed(5)
    shapes = sorted(model.decoder.adapter_tensors().items())
    tensors = {name: 0.2 * torch.randn(tensor.shape, generator=generator) for name, tensor in shapes}
    model.decoder.attach_adapter(tensors, 4, 8.0, ["all-linear"], False)
    return tensors


def distance(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def test_every_family_is_tried() -> None:
    assert set(SETTINGS) == set(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_comes_back_with_the_same_logits(name: str, tmp_path: Path) -> None:
    model = make_model(name, tmp_path / "model")
    plain = model.logits(IDS)
    GgufModel(model.decoder, model.tokenizer, model.source, "F32").write(tmp_path / "plain.gguf")
    tensors = adapt(model)
    wanted = model.logits(IDS)
    assert distance(wanted, plain) > 1e-2
    GgufModel(model.decoder, model.tokenizer, model.source, "F32").write(tmp_path / "merged.gguf")
    assert distance(load(tmp_path / "merged.gguf", dtype="float32").logits(IDS), wanted) <= 1e-4

    config = AdapterConfig(4, 8.0, ("all-linear",))
    write_gguf_adapter(tmp_path / "adapter.gguf", tensors, config, model.decoder.config)
    base = load(tmp_path / "plain.gguf", dtype="float32")
    assert distance(base.logits(IDS), plain) <= 1e-4
    found = read_gguf_adapter(tmp_path / "adapter.gguf", base.decoder.config)
    base.decoder.attach_adapter(dict(found.tensors), 4, found.config.alpha, list(found.modules), False)
    assert distance(base.logits(IDS), wanted) <= 1e-4


@pytest.mark.parametrize("name", FAMILIES)
def test_a_gguf_file_of_a_family_goes_through_unchanged(name: str, tmp_path: Path) -> None:
    model = make_model(name, tmp_path / "model")
    GgufModel(model.decoder, model.tokenizer, model.source, "F32").write(tmp_path / "one.gguf")
    again = load(tmp_path / "one.gguf", dtype="float32")
    GgufModel(again.decoder, again.tokenizer, again.source, "F32").write(tmp_path / "two.gguf")
    once = load(tmp_path / "two.gguf", dtype="float32")
    assert torch.equal(once.logits(IDS), again.logits(IDS))
    assert once.tokenizer.encode_text("read the file 12") == again.tokenizer.encode_text("read the file 12")


@pytest.mark.parametrize("kind", _SCALED)
def test_scaled_positions_come_back(kind: str, tmp_path: Path) -> None:
    plain = make_model("llama", tmp_path / "plain")
    model = make_model(
        "llama",
        tmp_path / "model",
        {"rope_parameters": {"rope_type": kind, "rope_theta": 1e4, **_SCALED[kind]}},
    )
    assert distance(model.logits(IDS), plain.logits(IDS)) > 1e-2
    GgufModel(model.decoder, model.tokenizer, model.source, "F32").write(tmp_path / "model.gguf")
    assert distance(load(tmp_path / "model.gguf", dtype="float32").logits(IDS), model.logits(IDS)) <= 1e-5


@pytest.mark.parametrize(("name", "told"), [("mistral", True), ("qwen2", True), ("phi3", False), ("gemma2", False)])
def test_a_window_that_the_file_cannot_hold_is_told(name: str, told: bool, tmp_path: Path) -> None:
    window = {"sliding_window": 4, "use_sliding_window": True, "max_window_layers": 0}
    model = make_model(name, tmp_path / "model", window)
    assert model.decoder.config["window"] == 4
    lost = GgufModel(model.decoder, model.tokenizer, model.source, "F32").lost
    assert (len(lost) == 1 and "after 4 tokens" in lost[0]) if told else lost == ()


def test_a_model_without_a_window_loses_nothing(tmp_path: Path) -> None:
    model = make_model("llama", tmp_path / "model")
    assert GgufModel(model.decoder, model.tokenizer, model.source, "F32").lost == ()
