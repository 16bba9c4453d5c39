"""A model with its adapter merged, as one GGUF file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.export.gguf_keys import GgufKey, copied_keys, family_keys, grown_keys, size_keys, tokenizer_keys
from luthier.export.gguf_names import GgufFamily, gguf_family, to_pairs
from luthier.export.gguf_rope import FACTORS_TENSOR, TENSORS_BEGIN, rope_factors, rope_keys, rope_parameters
from luthier.export.gguf_types import encode, file_type, stored_bytes, tensor_type

if TYPE_CHECKING:
    from torch import Tensor

    from luthier import _core
    from luthier.models.locate import ModelSource
    from luthier.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class PlannedTensor:
    """A tensor that a file will hold: its GGUF name, shape in torch's order, stored type, and the weight it is made of
    by its Transformers name; None for one that only this format has."""

    name: str
    shape: tuple[int, ...]
    kind: str
    weight: str | None

    @property
    def bytes(self) -> int:
        """What it takes in the file."""
        return stored_bytes(self.shape, self.kind)


_WINDOW_KEY = "attention.sliding_window"


class GgufModel:
    """What `decoder`, its adapter merged, becomes as a GGUF file of type `kind` (F32, F16, BF16, Q8_0, Q4_0, Q4_K).

    A model that came from a GGUF file keeps that file's keys. Made before anything is written: raises InputError for a
    family, a tokenizer or a scaling of positions that cannot be written.
    """

    def __init__(self, decoder: _core.Decoder, tokenizer: Tokenizer, source: ModelSource, kind: str) -> None:
        self.kind = kind
        self._decoder = decoder
        self._family: GgufFamily = gguf_family(str(decoder.config["family"]))
        self._name = Path(source.name).name
        if source.kind == "gguf":
            keys, self._extra = _from_gguf(source.path, self._family)
            rows = int(decoder.config["vocabulary_size"])
            self._keys = grown_keys(keys, tokenizer, rows, self._family.architecture)
        else:
            self._keys, self._extra = _from_folder(source.path, self._family, decoder.config, tokenizer)
        self.tensors = list(self._plan())

    @property
    def lost(self) -> tuple[str, ...]:
        """What such a file cannot say of this model, and what follows: for each a sentence."""
        window = int(self._decoder.config["window"])
        if not window or _WINDOW_KEY in self._family.keys:
            return ()
        return (
            f"GGUF files of {self._family.architecture} do not hold the model's sliding window: after {window:,} "
            "tokens their readers attend to more than this model does, and may answer otherwise",
        )

    @property
    def types(self) -> dict[str, int]:
        """How many tensors are stored in each type."""
        return dict(Counter(tensor.kind for tensor in self.tensors))

    @property
    def bytes(self) -> int:
        """About what the file takes."""
        words = sum(len(word) + 8 for key in self._keys if isinstance(key.value, list) for word in _texts(key))
        return sum(tensor.bytes for tensor in self.tensors) + words + (1 << 16)

    def write(self, path: Path, on_tensor: Callable[[int], None] | None = None) -> None:
        """Writes the file, one tensor in memory at a time; `on_tensor` hears how many are written. Raises OSError."""
        import gguf
        import numpy as np

        writer = gguf.GGUFWriter(path, self._family.architecture)
        try:
            writer.add_type(gguf.GGUFType.MODEL)
            writer.add_name(self._name)
            writer.add_file_type(file_type(self.kind))
            writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
            for key in self._keys:
                key.add_to(writer)
            for tensor in self.tensors:
                kind = gguf.GGMLQuantizationType[tensor.kind]
                writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), tensor.bytes, raw_dtype=kind)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            for count, tensor in enumerate(self.tensors, start=1):
                writer.write_tensor_data(encode(self._values(tensor).numpy(), tensor.kind))
                if on_tensor is not None:
                    on_tensor(count)
        finally:
            writer.close()

    def _plan(self) -> Iterator[PlannedTensor]:
        for weight in self._decoder.weight_names():
            name = self._family.to_gguf(weight)
            shape = tuple(self._decoder.weight(weight).shape)
            yield PlannedTensor(name, shape, tensor_type(name, shape, self.kind), weight)
        for name, values in self._extra.items():
            yield PlannedTensor(name, tuple(values.shape), "F32", None)

    def _values(self, tensor: PlannedTensor) -> Tensor:
        """fp32, as this format has them: rows in pairs, norms with their offset."""
        if tensor.weight is None:
            return self._extra[tensor.name]
        values = self._decoder.merged_weight(tensor.weight)
        if self._family.norm_offset and tensor.weight.endswith("norm.weight"):
            values = values + self._family.norm_offset
        heads = self._family.heads_of(tensor.weight)
        return values.contiguous() if heads is None else to_pairs(values, int(self._decoder.config[heads]))


def _from_folder(
    folder: Path, family: GgufFamily, decoder: Mapping[str, Any], tokenizer: Tokenizer
) -> tuple[list[GgufKey], dict[str, Tensor]]:
    """The keys, and the tensors that are no weights, of a model that came as a Transformers folder."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    name, rope, size = family.architecture, rope_parameters(config), int(decoder["head_size"])
    keys = [
        *size_keys(name, decoder),
        *family_keys(name, family.keys, config),
        *rope_keys(name, rope, size),
        *tokenizer_keys(tokenizer, int(decoder["vocabulary_size"])),
    ]
    factors = rope_factors(rope, float(decoder["rope_base"]), size)
    return keys, {} if factors is None else {FACTORS_TENSOR: factors}


def _from_gguf(path: Path, family: GgufFamily) -> tuple[list[GgufKey], dict[str, Tensor]]:
    """The same of a model that came as a GGUF file."""
    from luthier.formats import GgufFile, read_gguf_tensor

    file = GgufFile(str(path))
    scaling = [name for name, _, _ in file.tensors if name.startswith(TENSORS_BEGIN)]
    keys = copied_keys(file.metadata, family.architecture)
    return keys, {name: read_gguf_tensor(file, name) for name in scaling}


def _texts(key: GgufKey) -> list[str]:
    return [word for word in key.value if isinstance(word, str)]
