"""Opens a model with its tokenizer and, if wanted, an adapter."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.errors import InputError
from luthier.models.locate import ModelSource, locate
from luthier.models.model import Model
from luthier.text.files import has_tokenizer

if TYPE_CHECKING:
    from luthier import _core
    from luthier.export.adapter import AdapterConfig
    from luthier.text.tokenizer import Tokenizer

_DTYPES = ("bfloat16", "float32")


def load(model: str | PathLike[str], adapter: str | PathLike[str] | None = None, dtype: str = "bfloat16") -> Model:
    """A model to look into: a Transformers folder, a GGUF file, a known name or a hub id, with a PEFT adapter folder.

    `dtype` is what the weights are held in: "bfloat16" or "float32". A folder without a tokenizer gives a model for
    token ids: `logits` and `generate_ids`. Raises InputError that names what is wrong.
    """
    if dtype not in _DTYPES:
        raise InputError(f"[load] dtype is '{dtype}'; it must be one of {', '.join(_DTYPES)}")
    source = locate(model if isinstance(model, str) else Path(model))
    decoder = load_decoder(source, dtype)
    tokenizer = None if source.kind == "folder" and not has_tokenizer(source.path) else load_tokenizer(source)
    config = None if adapter is None else attach_adapter(decoder, Path(adapter))
    return Model(decoder, tokenizer, source, config)


def load_decoder(source: ModelSource, dtype: str) -> _core.Decoder:
    """The decoder of a located model."""
    from luthier import _core

    return _core.Decoder.load(str(source.path), dtype)


def load_tokenizer(source: ModelSource) -> Tokenizer:
    """The tokenizer of a located model: its folder's, or the one in the GGUF file's metadata."""
    from luthier.text.tokenizer import Tokenizer

    if source.kind == "folder":
        return Tokenizer.from_folder(source.path)
    from luthier.formats import GgufFile

    return Tokenizer.from_gguf_metadata(GgufFile(str(source.path)).metadata)


def attach_adapter(decoder: _core.Decoder, folder: Path) -> AdapterConfig:
    """Reads a PEFT adapter folder and attaches it to the decoder; returns its configuration.

    Raises InputError when the adapter is of a kind that is not supported or does not fit the model.
    """
    from luthier.export.adapter import read_adapter

    adapter = read_adapter(folder, decoder)
    config = adapter.config
    decoder.attach_adapter(dict(adapter.tensors), config.rank, config.alpha, list(adapter.modules), config.rslora)
    return config
