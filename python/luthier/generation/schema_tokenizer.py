"""A model's tokenizer as llguidance reads it: built once for a model, since that takes a second for a large one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from luthier.errors import InputError
from luthier.generation.label_tokens import label_tokens
from luthier.generation.piece_vocabulary import PieceVocabulary

if TYPE_CHECKING:
    from luthier.models.model import Model
    from luthier.records import Record

__all__ = ["first_line", "leading_space", "schema_tokenizer"]

_KNOWN: WeakKeyDictionary[Model, Any] = WeakKeyDictionary()
_LOCK = threading.Lock()


def schema_tokenizer(model: Model) -> Any:
    """The `llguidance.LLTokenizer` of the model. Raises InputError where the package is missing or cannot read it."""
    with _LOCK:
        if model not in _KNOWN:
            _KNOWN[model] = _built(model)
        return _KNOWN[model]


def leading_space(model: Model, record: Record) -> str:
    """The white space that the model's template or tokenizer sets between the prompt of `record` and an answer."""
    written = str(schema_tokenizer(model).decode_str(label_tokens(model.encoder, record, ["{}"])[0]))
    return written[: len(written) - len(written.lstrip())]


def first_line(error: object) -> str:
    """Of what llguidance says; its other lines are details of its own."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no reason given"


def _built(model: Model) -> Any:
    try:
        import llguidance
    except ImportError:
        raise InputError(
            "[constrain] a schema needs the package llguidance: pip install 'luthier[constrain]'"
        ) from None
    size = int(model.decoder.config["vocabulary_size"])
    ends = sorted(model.encoder.end_ids)
    try:
        vocabulary = (
            model.tokenizer.to_json()
            if model.tokenizer.pieces is None
            else llguidance.TokenizerWrapper(PieceVocabulary(model.tokenizer, size, ends))
        )
        return llguidance.LLTokenizer(vocabulary, n_vocab=size, eos_token=ends)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"[constrain] llguidance cannot read the model's tokenizer: {first_line(error)}") from None
