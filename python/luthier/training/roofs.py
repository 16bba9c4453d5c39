"""What the machine can do at best: the rates that a profile compares the operations with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

PRODUCT_SIZE = 2048
COPY_BYTES = 256 << 20
_FEWEST = 2
_SECONDS = 0.15


@dataclass(frozen=True)
class Roofs:
    """FLOP/s of square matrix products in bf16 and fp32, and bytes/s read and written by a copy."""

    bfloat16: float
    float32: float
    bandwidth: float

    def product(self, dtype: str) -> float:
        """The roof of the matrix products of a model of this dtype."""
        return self.bfloat16 if dtype == "bfloat16" else self.float32

    @classmethod
    def median(cls, found: list[Roofs]) -> Roofs:
        """The median of each rate over one measurement or more."""
        return cls(*(median(getattr(roofs, name) for roofs in found) for name in ("bfloat16", "float32", "bandwidth")))


class RoofProbe:
    """Measures the roofs of this moment with the threads of the core: on a shared machine they move by the minute.

    `size` is that of the square matrices, `copied` the bytes of the copied memory, far more than the caches hold.
    """

    def __init__(self, size: int = PRODUCT_SIZE, copied: int = COPY_BYTES) -> None:
        import torch

        from luthier import _core

        self._size = size
        self._left, self._right = (torch.randn(size, size) for _ in range(2))
        self._source = torch.ones(copied // 4)
        self._copy = torch.empty_like(self._source)
        # Without bf16 instructions the core computes bf16 products in fp32.
        self._bfloat16 = _core.instruction_set() in ("avx512", "amx")

    def __call__(self) -> Roofs:
        """The best rate of each kind over two tries or more."""
        import torch

        float32 = self._product(self._left, self._right)
        bfloat16 = (
            self._product(self._left.to(torch.bfloat16), self._right.to(torch.bfloat16)) if self._bfloat16 else float32
        )
        copied = 2 * self._source.numel() * self._source.element_size()
        return Roofs(bfloat16, float32, copied / _fastest(lambda: self._copy.copy_(self._source)))

    def _product(self, left: Tensor, right: Tensor) -> float:
        import torch

        out = torch.empty_like(left)
        return 2.0 * self._size**3 / _fastest(lambda: torch.mm(left, right, out=out))


def _fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of several calls, after one that is not counted."""
    work()
    times: list[float] = []
    while len(times) < _FEWEST or sum(times) < _SECONDS:
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)
