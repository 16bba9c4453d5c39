"""Sentencepiece models built from the metadata of a GGUF file, which holds their pieces but not their file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from luthier.errors import InputError
from luthier.text.control import AddedToken
from luthier.text.piece_backend import PieceDescription
from luthier.text.piece_model import Algorithm, ModelPiece, PieceKind, PieceModel

__all__ = ["PIECE_MODELS", "describe_gguf_pieces"]

# The values of tokenizer.ggml.model that stand for sentencepiece models. Whether a space is put before the text, and
# whether spaces are taken out of it, where the file does not say, is as llama.cpp has it.
PIECE_MODELS = {"llama": Algorithm.BPE, "t5": Algorithm.UNIGRAM}
_KINDS = frozenset(int(kind) for kind in PieceKind)
_TRAINED = (PieceKind.NORMAL, PieceKind.BYTE)
_LONGEST = 8000  # bytes; sentencepiece takes no longer pieces


def describe_gguf_pieces(metadata: Mapping[str, Any]) -> PieceDescription:
    """The tokenizer that the keys `tokenizer.ggml.*` amount to: model llama (BPE by score) or t5 (unigram).

    The core's sentencepiece reads the pieces with their scores as it reads a .model file; no table of merges is
    derived from them, which could not say what sentencepiece does where two merges have the same score. As in
    llama.cpp, every run of text between control tokens gets the space that the model puts before text.

    Raises InputError where a key is missing or the lists do not fit together.
    """
    kind = metadata.get("tokenizer.ggml.model")
    tokens = _list(metadata, "tokenizer.ggml.tokens")
    scores = _list(metadata, "tokenizer.ggml.scores")
    kinds = _list(metadata, "tokenizer.ggml.token_type")
    for name, values in (("scores", scores), ("token_type", kinds)):
        if len(values) != len(tokens):
            raise InputError(f"GGUF: {len(tokens)} tokens but {len(values)} values in tokenizer.ggml.{name}")
    if not tokens:
        raise InputError("GGUF: tokenizer.ggml.tokens is empty")
    if not all(isinstance(token, str) for token in tokens):
        raise InputError("GGUF: tokenizer.ggml.tokens is not a list of strings")
    taken: set[str] = set()
    pieces = [
        _piece(id, token, score, kind, taken) for id, (token, score, kind) in enumerate(zip(tokens, scores, kinds))
    ]
    if not any(piece.kind == PieceKind.UNKNOWN for piece in pieces):
        unknown = metadata.get("tokenizer.ggml.unknown_token_id", 0)
        if not isinstance(unknown, int) or not 0 <= unknown < len(pieces):
            raise InputError(f"GGUF: tokenizer.ggml.unknown_token_id is {unknown}, but there are {len(pieces)} tokens")
        pieces[unknown] = pieces[unknown]._replace(kind=int(PieceKind.UNKNOWN))
    algorithm = PIECE_MODELS[str(kind)]
    unigram = algorithm == Algorithm.UNIGRAM
    adds_prefix = bool(metadata.get("tokenizer.ggml.add_space_prefix", True))
    added = _taken_behind(pieces, tokens) if adds_prefix else ()
    model = PieceModel.build(
        pieces,
        algorithm,
        adds_prefix=adds_prefix,
        removes_spaces=bool(metadata.get("tokenizer.ggml.remove_extra_whitespaces", unigram)),
        character_map=_bytes(metadata.get("tokenizer.ggml.precompiled_charsmap") or ()),
        name="GGUF",
    )
    return PieceDescription(model, added, prefix_every_run=True)


def _taken_behind(pieces: list[ModelPiece], tokens: Sequence[str]) -> tuple[AddedToken, ...]:
    """The user-defined tokens behind all that the trainer made, which were added to the model later: the run of text
    after one gets a space before it, as after a control token, where the model's own would give it none. Their places
    among the pieces are left spare."""
    trained = max((id for id, piece in enumerate(pieces) if piece.kind in _TRAINED), default=-1)
    added = []
    for id in range(trained + 1, len(pieces)):
        if pieces[id].kind == PieceKind.USER_DEFINED:
            pieces[id] = pieces[id]._replace(kind=int(PieceKind.UNUSED))
            added.append(AddedToken(id, tokens[id], control=False))
    return tuple(added)


def _piece(id: int, token: str, score: object, kind: object, taken: set[str]) -> ModelPiece:
    """A token as a piece of the model, with `taken` the texts of those before it.

    User-defined tokens are written with spaces, which pieces spell ▁. Tokens that no text can yield and that fill the
    vocabulary up get a name of their own where theirs stands for another one already.
    """
    if not isinstance(score, int | float) or math.isnan(score):
        raise InputError(f"GGUF: tokenizer.ggml.scores[{id}] is not a number")
    if not isinstance(kind, int) or kind not in _KINDS:
        raise InputError(f"GGUF: tokenizer.ggml.token_type[{id}] is {kind}, which stands for no kind of token")
    text = token.replace(" ", "▁") if kind == PieceKind.USER_DEFINED else token
    if not text or text in taken or "\0" in text or len(text.encode("utf-8", "surrogateescape")) >= _LONGEST:
        if kind not in (PieceKind.UNUSED, PieceKind.CONTROL, PieceKind.USER_DEFINED):
            raise InputError(
                f"GGUF: tokenizer.ggml.tokens[{id}] is {text[:40]!r}, which is empty, too long or there twice"
            )
        text, kind = f"<luthier_unused_{id}>", PieceKind.UNUSED
    taken.add(text)
    return ModelPiece(text, float(score), int(kind))


def _list(metadata: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = metadata.get(key)
    if value is None:
        raise InputError(f"GGUF: the key {key} is missing")
    if isinstance(value, str | bytes | int | float):
        raise InputError(f"GGUF: {key} is not a list")
    return list(value)


def _bytes(values: Sequence[int]) -> bytes:
    try:
        return bytes(values)
    except (ValueError, TypeError):
        raise InputError("GGUF: tokenizer.ggml.precompiled_charsmap is not a list of bytes") from None
