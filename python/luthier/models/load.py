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
    config = None
    if adapter is not None:
        config, tokenizer = attach_adapter(decoder, Path(adapter), tokenizer)
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


def attach_adapter(
    decoder: _core.Decoder, folder: Path, tokenizer: Tokenizer | None
) -> tuple[AdapterConfig, Tokenizer | None]:
    """Reads a PEFT adapter folder and attaches it to the decoder; returns its configuration, and the tokenizer with the
    tokens that the adapter adds.

    Raises InputError when the adapter is of a kind that is not supported or does not fit the model.
    """
    from luthier.export.adapter import read_adapter

    adapter = read_adapter(folder, decoder)
    config = adapter.config
    tokens = None if config.trained_tokens is None else config.trained_tokens.ids
    if tokens is not None:
        tokenizer = _with_tokens_of(folder, tokens, tokenizer)
        if tokens.stop > int(decoder.config["vocabulary_size"]):
            decoder.add_tokens(tokens.start, len(tokens))
    decoder.attach_adapter(dict(adapter.tensors), config.rank, config.alpha, list(adapter.modules), config.rslora)
    if tokens is not None:
        decoder.attach_tokens(tokens.start, len(tokens), dict(adapter.rows))
    return config, tokenizer


def _with_tokens_of(folder: Path, tokens: range, tokenizer: Tokenizer | None) -> Tokenizer | None:
    """The base model's tokenizer with those of the tokens that it lacks, as the tokenizer in the folder spells them."""
    if tokenizer is None:
        return None
    missing = range(max(tokens.start, tokenizer.vocabulary_size), tokens.stop)
    if not missing:
        return tokenizer
    if not has_tokenizer(folder):
        raise InputError(
            f"[adapter] {folder} has rows for {len(missing):,} tokens that the model lacks, but no tokenizer that "
            "spells them; put its tokenizer.json there"
        )
    from luthier.text.tokenizer import Tokenizer

    theirs = Tokenizer.from_folder(folder)
    texts = [theirs.token(id) for id in missing]
    extended = tokenizer.with_tokens(texts)
    if [extended.added_tokens.get(text) for text in texts] != list(missing):
        raise InputError(
            f"[adapter] the tokens {missing.start} to {missing.stop - 1} of {folder} do not follow those of the model, "
            f"which has {tokenizer.vocabulary_size:,}; the adapter was made for another one"
        )
    return extended
