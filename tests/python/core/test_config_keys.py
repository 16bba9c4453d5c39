"""Which config.json the core takes, and how it names the key that it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from luthier.errors import InputError
from tiny_model import TinyShape, make_tiny_model

_core = pytest.importorskip("luthier._core", reason="the C++ core is not built")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("config") / "model", TinyShape(layers=2))


def load(folder: Path, place: Path, changes: dict[str, Any]) -> Any:
    """The tiny model's weights under a config.json with `changes`."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    place.mkdir()
    (place / "config.json").write_text(json.dumps({**config, **changes}), encoding="utf-8")
    (place / "model.safetensors").symlink_to(folder / "model.safetensors")
    return _core.Decoder.load(str(place), "float32")


LONGROPE = {"rope_type": "longrope", "short_factor": [1, 2, 3], "long_factor": [1, 2, 3], "factor": 2.0}
ROPE = "rope_parameters"
QWEN = {"model_type": "qwen2"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sliding_window": 4096}, "sliding_window: .*llama.* has no such setting"),
        ({"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
        ({"final_logit_softcapping": 30}, "final_logit_softcapping"),
        ({"residual_multiplier": 0.2}, "residual_multiplier"),
        ({"query_pre_attn_scalar": 256}, "query_pre_attn_scalar"),
        ({"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layer_types"),
        ({"no_rope_layers": [1, 0]}, "no_rope_layers"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"hidden_act": "gelu"}, "hidden_act.*gelu.*silu"),
        ({"num_local_experts": 8}, "num_local_experts: mixtures of experts are not supported"),
        ({"vision_config": {"hidden_size": 8}}, "vision_config: a vision or audio tower is not supported"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config: .*use the unquantised model"),
        ({ROPE: {"rope_type": "dynamic", "factor": 2.0}}, "rope_parameters.rope_type: .*dynamic.*supported: default"),
        ({ROPE: {"rope_type": "default", "swirl": 2}}, "rope_parameters.swirl"),
        ({ROPE: {"rope_type": "yarn"}}, "rope_parameters.*factor"),
        ({ROPE: {"rope_type": "default", "partial_rotary_factor": 0.5}}, "partial_rotary_factor: .*must be 1"),
        ({ROPE: LONGROPE}, "3 factors, and a head rotates 5 pairs"),
        ({"model_type": "mixtral"}, "mixtral.*mixture of experts"),
        ({"model_type": "qwen3_moe"}, "qwen3_moe.*mixture of experts"),
        ({"model_type": "gemma3", "vision_config": {}}, "vision_config: .*gemma3.*vision tower.*gemma3_text"),
        ({"model_type": "mamba"}, "model_type: .*mamba.*not supported; supported: gemma, .*, smollm3"),
        ({**QWEN, "layer_types": ["full_attention"]}, "layer_types: has 1 entries, and num_hidden_layers is 2"),
        ({**QWEN, "layer_types": ["full_attention", "chunked_attention"]}, r"layer_types\[1\]: .*chunked_attention"),
        ({**QWEN, "layer_types": ["sliding_attention"] * 2}, r"layer_types\[0\]: .*sets no sliding_window"),
        ({**QWEN, "use_sliding_window": True, "max_window_layers": 0, "sliding_window": -3}, "sliding_window is -3"),
        ({**QWEN, "attention_bias": True}, "attention_bias"),
        ({"model_type": "smollm3", "no_rope_layers": [1]}, "no_rope_layers: has 1 entries"),
        ({"model_type": "granite", "logits_scaling": 0}, "scale of logits"),
        ({"model_type": "phi3", "partial_rotary_factor": 0.1}, "partial_rotary_factor"),
        ({"model_type": "qwen3"}, "self_attn.q_norm.weight"),
        ({"num_hidden_layers": 1 << 40}, "num_hidden_layers"),
        ({**QWEN, "num_hidden_layers": 1 << 40}, "num_hidden_layers"),
        ({"model_type": "smollm3", "num_hidden_layers": -1}, "num_hidden_layers"),
    ],
)
def test_what_changes_the_result_and_is_not_known_is_refused_by_name(
    folder: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(folder, tmp_path / "model", changes)
    assert str(tmp_path / "model") in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"sliding_window": None, "residual_multiplier": 1.0, "logits_scaling": 1, "mlp_bias": False},
        {"layer_types": ["full_attention"] * 2, "no_rope_layers": [1, 1], "num_experts": 0},
        {"quantization_config": None, "rope_scaling": None, "pretraining_tp": 1, "something_new": {"a": 1}},
    ],
)
def test_what_changes_nothing_is_accepted(folder: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    decoder = load(folder, tmp_path / "model", changes)
    assert decoder.logits([3, 4, 5]).equal(_core.Decoder.load(str(folder), "float32").logits([3, 4, 5]))


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("qwen2moe", "qwen2moe.*mixture of experts"),
        ("clip", "vision tower"),
        ("mamba", "mamba.*not supported; supported: gemma"),
    ],
)
def test_other_gguf_architectures_are_refused_by_name(tmp_path: Path, architecture: str, message: str) -> None:
    import gguf

    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(InputError, match=message):
        _core.Decoder.load(str(path), "float32")
