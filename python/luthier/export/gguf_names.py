"""How GGUF files hold a model family: the names of its tensors, their order of rows, and the keys that only it has.

A further family is one entry of `FAMILIES`. What is not in the table cannot be written, and is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from luthier.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

_LAYER, _BLOCK = "model.layers.", "blk."
_OUTER: Final = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_PROJECTIONS: Final = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_FUSED: Final = {
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_BEFORE: Final = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
_AFTER: Final = {"post_attention_layernorm": "post_attention_norm", "post_feedforward_layernorm": "post_ffw_norm"}
_AROUND: Final = {"input_layernorm": "attn_norm", "pre_feedforward_layernorm": "ffn_norm", **_AFTER}
_QUERY_KEY: Final = {"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
_PAIRED: Final = {"self_attn.q_proj": "heads", "self_attn.k_proj": "key_heads"}


@dataclass(frozen=True)
class GgufFamily:
    """One family: names of Transformers on the left, of GGUF on the right, without ".weight" and ".bias".

    `layer` are the names behind "model.layers.N." and "blk.N.", `outer` those outside the layers. `paired` are the
    modules whose rows GGUF keeps in the order of rotated pairs, each with the key of the decoder's configuration that
    counts its heads. `norm_offset` is added to the weights of norms. `keys` are further keys of the metadata, behind
    the architecture's name, each with the key of config.json that holds the value.
    """

    architecture: str
    layer: Mapping[str, str]
    outer: Mapping[str, str] = field(default_factory=lambda: _OUTER)
    paired: Mapping[str, str] = field(default_factory=dict)
    norm_offset: float = 0.0
    keys: Mapping[str, str] = field(default_factory=dict)

    def to_gguf(self, name: str) -> str:
        """The GGUF name of a Transformers tensor. Raises InputError for a tensor that has none."""
        return self._rename(name, _LAYER, _BLOCK, self.outer, self.layer)

    def from_gguf(self, name: str) -> str:
        """The Transformers name of a GGUF tensor. Raises InputError for a tensor that has none."""
        outer = {theirs: ours for ours, theirs in self.outer.items()}
        layer = {theirs: ours for ours, theirs in self.layer.items()}
        return self._rename(name, _BLOCK, _LAYER, outer, layer)

    def heads_of(self, name: str) -> str | None:
        """The configuration key that counts the heads of a tensor stored in pairs, by its Transformers name."""
        return next((key for module, key in self.paired.items() if f".{module}." in name), None)

    def _rename(self, name: str, old: str, new: str, outer: Mapping[str, str], layer: Mapping[str, str]) -> str:
        module, _, kind = name.rpartition(".")
        if module.startswith(old):
            index, _, inner = module.removeprefix(old).partition(".")
            if inner in layer and index.isdigit():
                return f"{new}{index}.{layer[inner]}.{kind}"
        elif module in outer:
            return f"{outer[module]}.{kind}"
        raise InputError(f"[export] the tensor '{name}' has no other name in GGUF files of {self.architecture}")


_WINDOW: Final = {"attention.sliding_window": "sliding_window"}

FAMILIES: Final[dict[str, GgufFamily]] = {
    "gemma": GgufFamily("gemma", {**_PROJECTIONS, **_BEFORE}, norm_offset=1.0),
    "gemma2": GgufFamily(
        "gemma2",
        {**_PROJECTIONS, **_AROUND},
        norm_offset=1.0,
        keys={
            **_WINDOW,
            "attn_logit_softcapping": "attn_logit_softcapping",
            "final_logit_softcapping": "final_logit_softcapping",
        },
    ),
    "gemma3_text": GgufFamily("gemma3", {**_PROJECTIONS, **_AROUND, **_QUERY_KEY}, norm_offset=1.0, keys=_WINDOW),
    "granite": GgufFamily(
        "granite",
        {**_PROJECTIONS, **_BEFORE},
        paired=_PAIRED,
        keys={
            "attention.scale": "attention_multiplier",
            "embedding_scale": "embedding_multiplier",
            "residual_scale": "residual_multiplier",
            "logit_scale": "logits_scaling",
        },
    ),
    "llama": GgufFamily("llama", {**_PROJECTIONS, **_BEFORE}, paired=_PAIRED),
    "mistral": GgufFamily("llama", {**_PROJECTIONS, **_BEFORE}, paired=_PAIRED),
    "olmo2": GgufFamily("olmo2", {**_PROJECTIONS, **_AFTER, **_QUERY_KEY}),
    "phi3": GgufFamily("phi3", {**_FUSED, **_BEFORE}, keys=_WINDOW),
    "qwen2": GgufFamily("qwen2", {**_PROJECTIONS, **_BEFORE}),
    "qwen3": GgufFamily("qwen3", {**_PROJECTIONS, **_BEFORE, **_QUERY_KEY}),
    "smollm3": GgufFamily("smollm3", {**_PROJECTIONS, **_BEFORE}, paired=_PAIRED),
}
"""By the name that the decoder's configuration gives the family, which is `model_type` in config.json."""


def gguf_family(name: str) -> GgufFamily:
    """A family by its name. Raises InputError for one that cannot be written as GGUF."""
    family = FAMILIES.get(name)
    if family is None:
        raise InputError(
            f"[export] a model of the family '{name}' cannot be written as GGUF; that can be done for "
            f"{', '.join(sorted(FAMILIES))}. Use --format merged or peft"
        )
    return family


def to_pairs(rows: Tensor, heads: int) -> Tensor:
    """The rows of a query or key tensor [heads x size, ...] in GGUF's order of rotated pairs: 0, half, 1, half + 1, ...

    Transformers rotates row i of a head with row i + half, GGUF's readers row 2i with row 2i + 1.
    """
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape).contiguous()


def from_pairs(rows: Tensor, heads: int) -> Tensor:
    """The inverse of `to_pairs`."""
    return rows.reshape(heads, -1, 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape).contiguous()
