"""In what types a GGUF file stores its tensors, and the conversion of fp32 to each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FLOATS: Final = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
QUANTS: Final = ("Q8_0", "Q4_0", "Q4_K")
HEAD_TYPE: Final = "Q8_0"
"""Of the embedding and the head in a file of four bits, which lose most by rounding."""

# Elements and bytes of a block.
_BLOCKS: Final = {
    "F32": (1, 4),
    "F16": (1, 2),
    "BF16": (1, 2),
    "Q8_0": (32, 34),
    "Q5_0": (32, 22),
    "Q4_0": (32, 18),
    "Q4_K": (256, 144),
}
# What takes the place of a type whose blocks do not divide a row, as llama.cpp has it.
_FALLBACK: Final = {"Q4_K": "Q5_0", "Q5_0": "F16", "Q4_0": "F16", "Q8_0": "F16"}
_FILE_TYPES: Final = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 7, "Q4_K": 14, "BF16": 32}
_HEADS: Final = ("token_embd.weight", "output.weight")


def tensor_type(name: str, shape: Sequence[int], kind: str) -> str:
    """The type of a tensor, by its GGUF name, in a file of type `kind`.

    Vectors stay F32. In files of four bits the embedding and the head are Q8_0. A row that is no whole number of blocks
    takes the next type that fits.
    """
    if len(shape) < 2:
        return "F32"
    found = HEAD_TYPE if kind.startswith("Q4") and name in _HEADS else kind
    while shape[-1] % _BLOCKS[found][0]:
        found = _FALLBACK[found]
    return found


def stored_bytes(shape: Sequence[int], kind: str) -> int:
    """Bytes of a tensor of that type."""
    elements, size = _BLOCKS[kind]
    return math.prod(shape) // elements * size


def file_type(kind: str) -> int:
    """The number under general.file_type; what it says is only shown to people."""
    return _FILE_TYPES[kind]


def encode(values: NDArray[np.float32], kind: str) -> NDArray[Any]:
    """fp32 values [..., row] as stored: float types as such (BF16 and blocks as bytes, [..., bytes of a row]).

    Q8_0, Q5_0 and Q4_0 by the `gguf` package, whose roundings are those of llama.cpp; Q4_K by `quantize_q4_k`.
    """
    import gguf

    if kind == "Q4_K":
        from luthier.export.q4_k import quantize_q4_k

        return quantize_q4_k(values)
    encoded: NDArray[Any] = gguf.quants.quantize(values, gguf.GGMLQuantizationType[kind])
    return encoded


def describe_types(counts: Mapping[str, int]) -> str:
    """ "211 Q4_K, 30 Q5_0", most first."""
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items(), key=lambda item: -item[1]))
