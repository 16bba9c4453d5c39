"""Rotary positions as GGUF files hold them, scaled ones included."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from luthier.errors import InputError
from luthier.export.gguf_keys import GgufKey

if TYPE_CHECKING:
    from torch import Tensor

FACTORS_TENSOR: Final = "rope_freqs.weight"
TENSORS_BEGIN: Final = "rope_f"
"""How the names of tensors begin that only say how positions are scaled."""


def rope_parameters(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """What config.json says about rotary positions, with its `rope_type`; of the layers without a window where these
    and others have their own."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    rope = rope.get("full_attention", rope)
    return {**rope, "rope_type": rope.get("rope_type", rope.get("type", "default"))}


def rope_keys(architecture: str, rope: Mapping[str, Any], head_size: int) -> list[GgufKey]:
    """How many numbers of a head are rotated, and how. Raises InputError for a scaling that cannot be written."""
    kind = rope["rope_type"]
    if kind not in ("default", "linear", "llama3", "yarn"):
        raise InputError(
            f"[export] the rotary scaling '{kind}' cannot be written as GGUF; that can be done for linear, llama3 and "
            "yarn. Use --format merged or peft"
        )
    begin = f"{architecture}.rope"
    rotated = int(head_size * float(rope.get("partial_rotary_factor") or 1.0))
    keys = [GgufKey(f"{begin}.dimension_count", rotated, "UINT32")]
    if kind in ("linear", "yarn"):
        keys.append(GgufKey(f"{begin}.scaling.type", kind, "STRING"))
        keys.append(GgufKey(f"{begin}.scaling.factor", float(rope["factor"]), "FLOAT32"))
    if kind == "yarn":
        original = int(rope["original_max_position_embeddings"])
        keys.append(GgufKey(f"{begin}.scaling.original_context_length", original, "UINT32"))
    return keys


def rope_factors(rope: Mapping[str, Any], base: float, head_size: int) -> Tensor | None:
    """By what each of the head_size / 2 frequencies is divided, fp32, for the scaling of Llama 3.1; None without it.

    Long waves are divided by the factor, short ones by 1, those between by a mixture (as `Llama3RotaryEmbedding` in
    Transformers has it).
    """
    import torch

    if rope["rope_type"] != "llama3":
        return None
    factor, low, high = float(rope["factor"]), float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    original = float(rope["original_max_position_embeddings"])
    factors = []
    for pair in range(head_size // 2):
        wavelength = 2 * math.pi * base ** (2 * pair / head_size)
        share = (original / wavelength - low) / (high - low)
        smooth = min(max(share, 0.0), 1.0)
        factors.append(1 / ((1 - smooth) / factor + smooth))
    return torch.tensor(factors, dtype=torch.float32)
