"""Weights in blocks of Q4_K: 256 values in 144 bytes, 4.5 bits each.

A block has eight groups of 32 values. A value is  d * scale * q - dmin * offset  with q of 4 bits, scale and offset of
6 bits per group, and d and dmin in fp16 per block. The bytes (published with ggml as block_q4_K): d, dmin, 12 bytes
of scales and offsets, 128 bytes of q, of which byte i of each 32 holds value i and value i + 32 of 64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 256
BLOCK_BYTES = 144
_GROUPS, _GROUP = 8, 32
_LEVELS = 15
# By how much the first guess of a group's scale is stretched: values at the ends may be cut if the others gain.
_STRETCHES = (0.86, 0.9, 0.94, 0.97, 1.0, 1.03, 1.06)
_BLOCKS_AT_ONCE = 8192


def quantize_q4_k(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Values [..., n] as blocks [..., n / 256 * 144]. Raises ValueError where n is no multiple of 256.

    Each group tries several scales and takes for each the least-squares scale and offset of its roundings, weighted by
    the values' size, as large weights matter most.
    """
    import numpy as np

    if values.shape[-1] % BLOCK:
        raise ValueError(f"rows of {values.shape[-1]} values are no whole number of blocks of {BLOCK}")
    blocks = np.ascontiguousarray(values, dtype=np.float32).reshape(-1, _GROUPS, _GROUP)
    parts = [_encode(blocks[begin : begin + _BLOCKS_AT_ONCE]) for begin in range(0, len(blocks), _BLOCKS_AT_ONCE)]
    whole = np.concatenate(parts) if parts else np.empty((0, BLOCK_BYTES), np.uint8)
    return whole.reshape(*values.shape[:-1], values.shape[-1] // BLOCK * BLOCK_BYTES)


def _encode(groups: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Groups [blocks, 8, 32] as bytes [blocks, 144]."""
    import numpy as np

    scales, offsets = _fit(groups)
    d, scale_codes = _six_bits(scales)
    dmin, offset_codes = _six_bits(offsets)
    step = (d * scale_codes)[..., None]
    shift = (dmin * offset_codes)[..., None]
    codes = np.rint(np.divide(groups + shift, step, out=np.zeros_like(groups), where=step > 0))
    codes = np.clip(codes, 0, _LEVELS).astype(np.uint8).reshape(-1, 4, 2, _GROUP)
    packed = codes[:, :, 0] | codes[:, :, 1] << 4
    half: Any = np.float16
    return np.concatenate(
        [
            d.astype(half).view(np.uint8),
            dmin.astype(half).view(np.uint8),
            _pack(scale_codes.astype(np.uint8), offset_codes.astype(np.uint8)),
            packed.reshape(-1, BLOCK // 2),
        ],
        axis=1,
    )


def _fit(groups: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The scale and the offset [blocks, 8], neither below zero, by which each group is rounded best."""
    import numpy as np

    weights = np.abs(groups) + np.sqrt(np.mean(groups**2, axis=-1, keepdims=True))
    low = np.minimum(groups.min(axis=-1), 0)
    first = (groups.max(axis=-1) - low) / _LEVELS
    best_scale, best_offset = np.maximum(first, 0), -low
    best_error = np.full(low.shape, np.inf, dtype=np.float32)
    for stretch in _STRETCHES:
        step = (first * stretch)[..., None]
        codes = np.rint(np.divide(groups - low[..., None], step, out=np.zeros_like(groups), where=step > 0))
        codes = np.clip(codes, 0, _LEVELS)
        scale, offset = _least_squares(groups, codes, weights)
        error = np.sum(weights * (scale[..., None] * codes - offset[..., None] - groups) ** 2, axis=-1)
        better = (error < best_error) & (scale >= 0)
        best_error = np.where(better, error, best_error)
        best_scale = np.where(better, scale, best_scale)
        best_offset = np.where(better, offset, best_offset)
    return best_scale, best_offset


def _least_squares(
    groups: NDArray[np.float32], codes: NDArray[np.float32], weights: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scale and offset that minimise  sum w (scale * code - offset - value)^2  with the offset not below zero."""
    import numpy as np

    total = weights.sum(axis=-1)
    mean_code = (weights * codes).sum(axis=-1) / np.where(total > 0, total, 1)
    mean_value = (weights * groups).sum(axis=-1) / np.where(total > 0, total, 1)
    centred = codes - mean_code[..., None]
    spread = (weights * centred**2).sum(axis=-1)
    scale = np.divide((weights * centred * groups).sum(axis=-1), spread, out=np.zeros_like(spread), where=spread > 0)
    offset = scale * mean_code - mean_value
    square = (weights * codes**2).sum(axis=-1)
    through_zero = np.divide(
        (weights * codes * groups).sum(axis=-1), square, out=np.zeros_like(square), where=square > 0
    )
    return np.where(offset >= 0, scale, through_zero), np.maximum(offset, 0)


def _six_bits(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A block's factor [blocks, 1], as fp16 holds it, and the codes of 6 bits [blocks, 8] that it multiplies."""
    import numpy as np

    largest = values.max(axis=-1, keepdims=True)
    smallest = np.finfo(np.float16).smallest_subnormal
    factor = np.where(largest > 0, np.maximum((largest / 63).astype(np.float16), smallest), 0).astype(np.float32)
    codes = np.rint(np.divide(values, factor, out=np.zeros_like(values), where=factor > 0))
    return factor, np.clip(codes, 0, 63).astype(np.float32)


def _pack(scales: NDArray[np.uint8], offsets: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Eight scales and eight offsets of 6 bits [blocks, 8] in 12 bytes.

    Four bytes: the first four scales, with the upper two bits of the last four above them; four more, the same of
    the offsets; four with the lower halves of both.
    """
    import numpy as np

    return np.concatenate(
        [
            scales[:, :4] | scales[:, 4:] >> 4 << 6,
            offsets[:, :4] | offsets[:, 4:] >> 4 << 6,
            scales[:, 4:] & 15 | (offsets[:, 4:] & 15) << 4,
        ],
        axis=1,
    )
