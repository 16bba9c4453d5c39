"""adapter_config.json: what PEFT writes is read, and what Luthier cannot honour is refused by name."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.errors import InputError
from luthier.export.adapter import read_adapter
from luthier.export.adapter_config import AdapterConfig, TrainedTokens, linear_modules, read_adapter_config

MODULES = [
    f"model.layers.{layer}.{part}"
    for layer in range(3)
    for part in ("self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj", "mlp.down_proj")
]


def peft_config(**changes: Any) -> dict[str, Any]:
    from peft import LoraConfig

    config = LoraConfig(r=4, lora_alpha=6, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    return {**config.to_dict(), "target_modules": ["q_proj", "v_proj"], **changes}


def write(folder: Path, values: Any) -> Path:
    (folder / "adapter_config.json").write_text(values if isinstance(values, str) else json.dumps(values, default=str))
    return folder


def test_what_peft_writes_is_read(tmp_path: Path) -> None:
    from peft import LoraConfig

    LoraConfig(
        r=4, lora_alpha=6, target_modules=["v_proj", "q_proj"], use_rslora=True, task_type="CAUSAL_LM"
    ).save_pretrained(tmp_path)
    config = read_adapter_config(tmp_path)
    assert (config.rank, config.alpha, config.targets, config.rslora) == (4, 6.0, ("q_proj", "v_proj"), True)
    assert config.scale == pytest.approx(6 / math.sqrt(4))
    assert "rsLoRA rank 4" in config.summary


def test_the_scale_without_rslora() -> None:
    assert AdapterConfig(8, 16.0, ("q_proj",)).scale == 2.0


def test_peft_reads_what_we_write(tmp_path: Path) -> None:
    from peft import LoraConfig, PeftConfig

    write(tmp_path, AdapterConfig(8, 12.5, ("down_proj", "q_proj"), rslora=True, base_model="base").to_peft())
    config = PeftConfig.from_pretrained(str(tmp_path))
    assert isinstance(config, LoraConfig)
    assert (config.r, config.lora_alpha, config.use_rslora, config.bias) == (8, 12.5, True, "none")
    assert set(config.target_modules or ()) == {"q_proj", "down_proj"}
    assert config.base_model_name_or_path == "base"
    assert read_adapter_config(tmp_path) == AdapterConfig(8, 12.5, ("down_proj", "q_proj"), True, False, "base")


@pytest.mark.parametrize("matrices", [("embed_tokens",), ("embed_tokens", "lm_head")])
def test_trained_tokens_are_those_of_peft(tmp_path: Path, matrices: tuple[str, ...]) -> None:
    from peft import LoraConfig

    ids = [300, 301, 302]
    LoraConfig(r=4, target_modules=["q_proj"], trainable_token_indices=dict.fromkeys(matrices, ids)).save_pretrained(
        tmp_path
    )
    config = read_adapter_config(tmp_path)
    assert config.trained_tokens == TrainedTokens(range(300, 303), matrices)
    assert config.to_peft()["trainable_token_indices"] == dict.fromkeys(matrices, ids)
    assert "3 added tokens" in config.summary
    LoraConfig(r=4, target_modules=["q_proj"], trainable_token_indices=ids).save_pretrained(tmp_path)
    assert read_adapter_config(tmp_path).trained_tokens == TrainedTokens(range(300, 303))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"peft_type": "LOHA"}, "peft_type is 'LOHA'"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"rank_pattern": {"q_proj": 2}}, "adapters with rank_pattern are not supported"),
        ({"alpha_pattern": {"q_proj": 2}}, "adapters with alpha_pattern"),
        ({"modules_to_save": ["lm_head"]}, "adapters with modules_to_save"),
        ({"use_dora": True}, "adapters with use_dora"),
        ({"fan_in_fan_out": True}, "adapters with fan_in_fan_out"),
        ({"layers_to_transform": [0]}, "adapters with layers_to_transform"),
        ({"something_new": 3}, "adapters with something_new"),
        ({"init_lora_weights": "pissa"}, "changes the base weights"),
        ({"r": 0}, "r is 0"),
        ({"r": 1.5}, "r is 1.5"),
        ({"r": True}, "r is True"),
        ({"lora_alpha": "8"}, "lora_alpha is '8'"),
        ({"target_modules": None}, "target_modules is None"),
        ({"target_modules": []}, r"target_modules is \[\]"),
        ({"target_modules": [1]}, r"target_modules is \[1\]"),
        ({"target_modules": "("}, "no regular expression"),
        ({"trainable_token_indices": [5, 4]}, "not one run of ascending ids"),
        ({"trainable_token_indices": {"embed_tokens": [5], "lm_head": [6]}}, "not one run of ascending ids"),
        ({"trainable_token_indices": {"lm_head": [5]}}, "names lm_head"),
        ({"trainable_token_indices": ["5"]}, "must be a list of token ids"),
    ],
)
def test_what_is_not_supported_is_named(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    write(tmp_path, peft_config(**changes))
    with pytest.raises(InputError, match=expected) as caught:
        read_adapter_config(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "3", '{"peft_type": "LORA", "r": 1e999, "target_modules": ["a"]}', "[" * 100_000]
)
def test_a_damaged_file_is_an_input_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"adapter_config.json"):
        read_adapter_config(write(tmp_path, text))


@given(
    st.dictionaries(
        st.sampled_from(
            ["peft_type", "r", "lora_alpha", "target_modules", "trainable_token_indices", "bias", "use_rslora", "x"]
        ),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | st.just("LORA"),
    )
)
def test_any_object_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]) -> None:
    folder = write(tmp_path_factory.mktemp("adapter"), values)
    try:
        config = read_adapter_config(folder)
    except InputError:
        return
    assert config.rank >= 1
    assert math.isfinite(config.scale)
    assert config.targets


def test_a_folder_without_an_adapter_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no adapter_config.json"):
        read_adapter(tmp_path)
    with pytest.raises(InputError, match=r"there is no folder"):
        read_adapter(tmp_path / "nothing")
    write(tmp_path, peft_config())
    with pytest.raises(InputError, match=r"no adapter_model.safetensors"):
        read_adapter(tmp_path)
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"pickle"):
        read_adapter(tmp_path)


@pytest.mark.parametrize(
    "targets",
    [
        ["q_proj"],
        ["mlp.up_proj", "v_proj"],
        ["model.layers.1.self_attn.q_proj"],
        r".*\.[02]\.self_attn\.[qv]_proj",
        "all-linear",
    ],
)
def test_targets_mean_what_they_mean_to_peft(targets: Any, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = LlamaConfig(
        vocab_size=32,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    model = get_peft_model(LlamaForCausalLM(shape), LoraConfig(r=2, target_modules=targets, task_type="CAUSAL_LM"))
    theirs = {
        name.removeprefix("base_model.model.").removesuffix(".lora_A")
        for name, _ in model.named_modules()
        if name.endswith("lora_A")
    }
    modules = linear_modules(LlamaForCausalLM(shape).state_dict())
    assert len(modules) == 3 * 7
    ours = read_adapter_config(write(tmp_path, peft_config(target_modules=targets))).resolve(modules)
    assert set(ours) == theirs


def test_a_target_that_the_model_does_not_have_is_named() -> None:
    with pytest.raises(InputError, match=r"no linear layer 'query'; it has down_proj, q_proj, up_proj, v_proj"):
        AdapterConfig(4, 4.0, ("q_proj", "query")).resolve(MODULES)
    with pytest.raises(InputError, match=r"matches no linear layer"):
        AdapterConfig(4, 4.0, ("q_proj",), pattern=True).resolve(MODULES)
    assert AdapterConfig(4, 4.0, ("q_proj",)).resolve(MODULES) == tuple(MODULES[::4])
