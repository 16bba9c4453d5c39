"""The `gguf` package reads a file again: what stands in for llama.cpp where that is not at hand."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from luthier.delivery.loader_result import LoaderResult


def read_again(path: Path) -> LoaderResult:
    """Every tensor read by the package must have the values that Luthier reads, and all must be finite."""
    import gguf
    import numpy as np

    from luthier.formats import GgufFile, read_gguf_tensor

    ours = GgufFile(str(path))
    theirs = gguf.GGUFReader(path)
    faults = []
    if {tensor.name for tensor in theirs.tensors} != {name for name, _, _ in ours.tensors}:
        faults.append("it lists other tensors than Luthier reads")
    else:
        for tensor in theirs.tensors:
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).ravel()
            own = read_gguf_tensor(ours, tensor.name).numpy().ravel()
            if not np.isfinite(own).all():
                faults.append(f"{tensor.name} holds values that are not finite")
            elif not np.allclose(values, own, rtol=1e-6, atol=1e-7):
                faults.append(f"{tensor.name} has other values than Luthier reads")
    said = (
        f"not run: the package xllamacpp, which brings it, is not installed; the gguf package read all "
        f"{len(theirs.tensors)} tensors again"
    )
    return LoaderResult("llama.cpp", f"gguf {version('gguf')}", said, tuple(faults))
