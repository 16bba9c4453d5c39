"""Tiny random models of every family, with settings that make each of its peculiarities matter.

Each case is a configuration of Transformers. Rows are longer than the windows, layers of different kinds alternate,
soft caps are small enough to bend the values, multipliers differ from one. Sizes are odd; no tokenizer is saved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VOCABULARY = 311

_COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 40,
    "intermediate_size": 56,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 10,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": None,
}


@dataclass(frozen=True)
class FamilyCase:
    """A configuration of a model type. `shown` says what it is there for; `gguf` whether GGUF files can hold it."""

    model_type: str
    shown: str
    settings: dict[str, Any] = field(default_factory=dict)
    shards: int = 1
    gguf: bool = True


def _rope(kind: str = "default", theta: float = 10000.0, **values: Any) -> dict[str, Any]:
    return {"rope_type": kind, "rope_theta": theta, **values}


_YARN = _rope("yarn", factor=4.0, original_max_position_embeddings=32)
_LONG = {"short_factor": [1.0, 1.3, 2.5], "long_factor": [1.0, 2.0, 9.0]}

CASES: dict[str, FamilyCase] = {
    "llama": FamilyCase("llama", "tied head, grouped keys", {"tie_word_embeddings": True}),
    "llama_3": FamilyCase(
        "llama",
        "Llama 3 scaling, untied head, shards",
        {
            "rope_parameters": _rope(
                "llama3",
                500.0,
                factor=8.0,
                low_freq_factor=1.0,
                high_freq_factor=4.0,
                original_max_position_embeddings=64,
            ),
        },
        shards=3,
    ),
    "llama_linear": FamilyCase("llama", "linear scaling", {"rope_parameters": _rope("linear", factor=3.0)}),
    "llama_yarn": FamilyCase("llama", "YaRN", {"rope_parameters": _YARN}),
    "mistral": FamilyCase("mistral", "a window in every layer, shards", {"sliding_window": 19}, shards=2, gguf=False),
    "mistral_no_window": FamilyCase("mistral", "no window", {"sliding_window": None}),
    "qwen2": FamilyCase(
        "qwen2",
        "biases of queries, keys and values; a window in the upper layers",
        {"use_sliding_window": True, "sliding_window": 23, "max_window_layers": 1, "tie_word_embeddings": True},
        gguf=False,
    ),
    "qwen2_yarn": FamilyCase("qwen2", "YaRN, no window", {"rope_parameters": _YARN}),
    "qwen3": FamilyCase("qwen3", "norms of query and key heads", {"head_dim": 14}),
    "gemma": FamilyCase(
        "gemma", "scaled embeddings, norms around one, GeGLU, one key head", {"num_key_value_heads": 1}
    ),
    "gemma2": FamilyCase(
        "gemma2",
        "soft caps of scores and logits, norms before and behind, windows in every other layer",
        {
            "sliding_window": 21,
            "query_pre_attn_scalar": 10,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 3.0,
            "num_hidden_layers": 4,
        },
    ),
    "gemma2_scaled": FamilyCase(
        "gemma2",
        "a scale of scores of its own, no caps",
        {"query_pre_attn_scalar": 17, "attn_logit_softcapping": None},
        gguf=False,
    ),
    "gemma3": FamilyCase(
        "gemma3_text",
        "five local layers to a global one, two rotary bases, linear scaling of the global one",
        {
            "sliding_window": 17,
            "num_hidden_layers": 7,
            "query_pre_attn_scalar": 10,
            "rope_parameters": {
                "sliding_attention": _rope(theta=100.0),
                "full_attention": _rope("linear", 5000.0, factor=8.0),
            },
        },
        gguf=False,
    ),
    "gemma3_plain": FamilyCase(
        "gemma3_text",
        "the usual rotary bases",
        {
            "sliding_window": 17,
            "num_hidden_layers": 7,
            "query_pre_attn_scalar": 10,
            "rope_parameters": {"sliding_attention": _rope(theta=1e4), "full_attention": _rope(theta=1e6)},
        },
    ),
    "olmo2": FamilyCase("olmo2", "norms behind the blocks, and of whole queries and keys"),
    "granite": FamilyCase(
        "granite",
        "four multipliers",
        {
            "embedding_multiplier": 3.0,
            "attention_multiplier": 0.21,
            "residual_multiplier": 0.4,
            "logits_scaling": 1.7,
            "tie_word_embeddings": True,
        },
    ),
    "granite_biases": FamilyCase(
        "granite", "biases everywhere", {"attention_bias": True, "mlp_bias": True, "attention_multiplier": 0.3}
    ),
    "smollm3": FamilyCase(
        "smollm3", "every fourth layer without rotation", {"num_hidden_layers": 5, "tie_word_embeddings": True}
    ),
    "smollm3_window": FamilyCase(
        "smollm3",
        "a window in the layers without rotation",
        {"use_sliding_window": True, "sliding_window": 15, "no_rope_layers": [1, 0, 1]},
        gguf=False,
    ),
    "phi3": FamilyCase("phi3", "fused projections, a window", {"sliding_window": 29}),
    "phi4": FamilyCase(
        "phi3",
        "a part of each head rotated, tied head",
        {"rope_parameters": _rope(partial_rotary_factor=0.6), "tie_word_embeddings": True},
    ),
    "phi3_longrope": FamilyCase(
        "phi3",
        "LongRoPE within its original length",
        {
            "rope_parameters": _rope("longrope", partial_rotary_factor=0.6, **_LONG),
            "original_max_position_embeddings": 256,
        },
    ),
}


def family_config(case: FamilyCase) -> Any:
    """The Transformers configuration of a case."""
    from transformers import AutoConfig

    return AutoConfig.for_model(case.model_type, **{**_COMMON, **case.settings})


def make_family_model(case: FamilyCase, folder: Path, seed: int) -> Path:
    """Writes a random model of the case to `folder` as Transformers does, in `case.shards` files or more."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(family_config(case))
    around_one = 0.0 if "gemma" in case.model_type else 1.0
    generator = torch.Generator().manual_seed(seed)
    scale = float(getattr(model.config, "embedding_multiplier", 1.0))
    if "gemma" in case.model_type:
        scale = model.config.hidden_size**0.5
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = torch.randn(parameter.shape, generator=generator)
            if name.endswith("norm.weight"):
                parameter.copy_(around_one + 0.1 * values)
            elif name.endswith(".bias"):
                parameter.copy_(0.1 * values)
            elif "embed_tokens" in name:
                parameter.copy_(values / scale)
            else:
                parameter.copy_(values * 1.5 * parameter.shape[1] ** -0.5)
    total = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    largest = max(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    limit = max(total // case.shards, largest) + 1 if case.shards > 1 else 2 * total
    model.save_pretrained(folder, max_shard_size=limit)
    return folder
