"""A LoRA adapter as the GGUF file that llama.cpp loads beside a model, written and read.

Tensors are named as those of the model with ".lora_a" and ".lora_b" behind: "blk.0.attn_q.weight.lora_a". B has the
order of rows that the model's tensor has. llama.cpp multiplies by alpha / rank, the rank being that of the tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError
from luthier.export.adapter import Adapter
from luthier.export.adapter_config import AdapterConfig
from luthier.export.gguf_names import from_pairs, gguf_family, to_pairs
from luthier.export.gguf_types import encode, file_type, stored_bytes

if TYPE_CHECKING:
    from torch import Tensor

_PREFIX = "base_model.model."


def write_gguf_adapter(
    path: Path, tensors: Mapping[str, Tensor], config: AdapterConfig, model: Mapping[str, Any], kind: str = "F32"
) -> None:
    """Writes the tensors of an adapter, by their PEFT names, for the model whose decoder has the configuration `model`.

    `kind` is F32, F16 or BF16. An rsLoRA adapter gets the alpha that makes alpha / rank its scale. Raises InputError
    for a family that cannot be written, OSError.
    """
    import gguf
    import numpy as np

    family = gguf_family(str(model["family"]))
    writer = gguf.GGUFWriter(path, family.architecture)
    try:
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, config.scale * config.rank)
        writer.add_file_type(file_type(kind))
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        encoded = []
        for name, tensor in sorted(tensors.items()):
            projection, _, side = name.removeprefix(_PREFIX).removesuffix(".weight").rpartition(".lora_")
            weight = f"{projection}.weight"
            values = tensor.float()
            heads = family.heads_of(weight)
            if side == "B" and heads is not None:
                values = to_pairs(values, int(model[heads]))
            stored = f"{family.to_gguf(weight)}.lora_{side.lower()}"
            shape = tuple(values.shape)
            size = stored_bytes(shape, kind)
            raw = gguf.GGMLQuantizationType[kind]
            writer.add_tensor_info(stored, shape, np.dtype(np.float32), size, raw_dtype=raw)
            encoded.append(values.contiguous().numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for array in encoded:
            writer.write_tensor_data(encode(array, kind))
    finally:
        writer.close()


def read_gguf_adapter(path: Path, model: Mapping[str, Any]) -> Adapter:
    """Reads such a file for the model whose decoder has the configuration `model`; tensors get their PEFT names, fp32.

    Raises InputError where the file is damaged, no LoRA adapter, or of another family.
    """
    from luthier.formats import GgufFile, read_gguf_tensor

    file = GgufFile(str(path))
    family = gguf_family(str(model["family"]))
    wanted = {
        "general.type": "adapter",
        "adapter.type": "lora",
        "general.architecture": family.architecture,
    }
    for key, value in wanted.items():
        if file.metadata.get(key) != value:
            raise InputError(f"[adapter] {path}: {key} is {file.metadata.get(key)!r} and not {value!r}")
    tensors: dict[str, Tensor] = {}
    modules: dict[str, None] = {}
    for name, _, _ in file.tensors:
        stored, dot, side = name.rpartition(".lora_")
        if not dot or side not in ("a", "b"):
            raise InputError(f"[adapter] {path}: '{name}' is no tensor of a LoRA adapter")
        weight = family.from_gguf(stored)
        values = read_gguf_tensor(file, name)
        heads = family.heads_of(weight)
        if side == "b" and heads is not None:
            values = from_pairs(values, int(model[heads]))
        module = weight.removesuffix(".weight")
        modules[module] = None
        tensors[f"{_PREFIX}{module}.lora_{side.upper()}.weight"] = values
    ranks = {int(tensor.shape[0]) for name, tensor in tensors.items() if ".lora_A." in name}
    if len(ranks) != 1:
        raise InputError(f"[adapter] {path}: the tensors have the ranks {sorted(ranks)}; they must have one")
    alpha = float(file.metadata.get("adapter.lora.alpha", 0.0))
    config = AdapterConfig(ranks.pop(), alpha, tuple(modules))
    return Adapter(config, tensors, tuple(modules))
