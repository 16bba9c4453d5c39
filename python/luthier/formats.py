"""Files of tensors, as torch tensors: safetensors, read and written, and GGUF, read.

Example:
    >>> tensors = read_safetensors("model.safetensors")
    >>> write_safetensors("copy.safetensors", tensors, {"format": "pt"})
    >>> file = GgufFile("model.gguf")
    >>> file.metadata["general.architecture"], read_gguf_tensor(file, "output_norm.weight").shape
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from luthier import _core

if TYPE_CHECKING:
    import torch

__all__ = ["Checkpoint", "GgufFile", "SafetensorsFile", "read_gguf_tensor", "read_safetensors", "write_safetensors"]

Checkpoint = _core.Checkpoint
GgufFile = _core.GgufFile
SafetensorsFile = _core.SafetensorsFile

_TORCH_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """All tensors of a safetensors file, or of a folder with one or several of them, each with memory of its own.

    Raises InputError, naming file and tensor, when the file is damaged or a shard is missing.
    """
    import torch

    files = Checkpoint(os.fspath(path))
    tensors = {}
    for name in files.names():
        type_name, shape = files.info(name)
        tensors[name] = _tensor(bytearray(files.bytes(name)), getattr(torch, _TORCH_NAMES[type_name]), shape)
    return tensors


def write_safetensors(
    path: str | os.PathLike[str], tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes tensors of any device and layout; the same tensors give the same bytes, whatever their order.

    The file is written beside `path`, synced and renamed, so that `path` is whole or untouched. Raises InputError when
    a type has no place in the format or the file cannot be created, Error with the reason when the disk is full.
    """
    import torch

    type_names = {getattr(torch, torch_name): name for name, torch_name in _TORCH_NAMES.items()}
    arguments = {}
    dense = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    for name, tensor in dense.items():
        buffer: bytes | ctypes.Array[ctypes.c_byte] = b""
        if tensor.nbytes > 0:  # dense keeps the memory that the buffer points into
            buffer = (ctypes.c_byte * tensor.nbytes).from_address(tensor.data_ptr())
        arguments[name] = (type_names.get(tensor.dtype, str(tensor.dtype)), list(tensor.shape), buffer)
    _core.write_safetensors(os.fspath(path), arguments, dict(metadata or {}))


def read_gguf_tensor(file: GgufFile, name: str) -> torch.Tensor:
    """A tensor of a GGUF file, dequantised to float32, in torch's order of dimensions.

    Raises InputError when there is no tensor of that name or its type cannot be dequantised.
    """
    import torch

    shape = next((shape for found, _, shape in file.tensors if found == name), ())
    return _tensor(file.dequantize(name), torch.float32, shape)


def _tensor(memory: bytearray, dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    import torch

    return torch.frombuffer(memory, dtype=dtype).reshape(shape) if memory else torch.empty(shape, dtype=dtype)
