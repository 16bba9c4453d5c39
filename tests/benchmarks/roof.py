"""The machine's roof at this moment: a matrix product of 2048 x 2048 by 2048 x 2048 in the type that
both sides compute in, in a fresh process.

python roof.py SPECIFICATION.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

SIZE = 2048
_SECONDS = 2.0
_FEWEST = 5


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """The best and the median rate of the product over two seconds, in FLOP/s, and what torch uses."""
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    dtype = getattr(torch, job["dtype"])
    left, right = (torch.randn(SIZE, SIZE).to(dtype) for _ in range(2))
    out = torch.empty(SIZE, SIZE, dtype=dtype)
    times: list[float] = []
    torch.mm(left, right, out=out)
    while len(times) < _FEWEST or sum(times) < _SECONDS:
        begin = time.perf_counter()
        torch.mm(left, right, out=out)
        times.append(time.perf_counter() - begin)
    flops = 2.0 * SIZE**3
    return {
        "best": flops / min(times),
        "median": flops / sorted(times)[len(times) // 2],
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


if __name__ == "__main__":
    specification = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(specification["result"]).write_text(json.dumps(measure(specification)), encoding="utf-8")
