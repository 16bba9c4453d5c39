"""A sentencepiece model as the keys of a GGUF file: its pieces, scores and kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luthier.errors import InputError
from luthier.export.gguf_keys import GgufKey, check_rows
from luthier.text.piece_model import Algorithm, PieceKind

if TYPE_CHECKING:
    from luthier.text.piece_backend import PieceBackend

__all__ = ["piece_keys"]

_MODELS = {Algorithm.BPE: "llama", Algorithm.UNIGRAM: "t5"}


def piece_keys(pieces: PieceBackend, rows: int) -> list[GgufKey]:
    """The vocabulary for an embedding of `rows` rows; those beyond it get names that no text yields.

    Raises InputError where the model is neither BPE nor unigram, or has more tokens than rows.
    """
    model = pieces.model
    kind = next((name for algorithm, name in _MODELS.items() if algorithm == model.algorithm), None)
    if kind is None:
        raise InputError(
            "[export] the tokenizer is a sentencepiece model of words or characters, which GGUF files cannot hold; use "
            "--format merged or peft"
        )
    check_rows(pieces.size, rows)
    texts = [f"[PAD{id}]" for id in range(rows)]
    scores = [0.0] * rows
    kinds = [int(PieceKind.UNUSED)] * rows
    for id, (text, score, piece_kind) in enumerate(model.pieces):
        texts[id], scores[id], kinds[id] = text, score, piece_kind
    for token in pieces.added:  # written as text spells them, with spaces
        texts[token.id] = token.text
        kinds[token.id] = int(PieceKind.CONTROL if token.control else PieceKind.USER_DEFINED)
    if pieces.unknown_id is not None:
        kinds[pieces.unknown_id] = int(PieceKind.UNKNOWN)
    keys = [
        GgufKey("tokenizer.ggml.model", kind, "STRING"),
        GgufKey("tokenizer.ggml.pre", "default", "STRING"),
        GgufKey("tokenizer.ggml.tokens", texts, "STRING"),
        GgufKey("tokenizer.ggml.scores", scores, "FLOAT32"),
        GgufKey("tokenizer.ggml.token_type", kinds, "INT32"),
        GgufKey("tokenizer.ggml.add_space_prefix", model.adds_prefix, "BOOL"),
        GgufKey("tokenizer.ggml.remove_extra_whitespaces", model.removes_spaces, "BOOL"),
    ]
    if model.character_map:
        keys.append(GgufKey("tokenizer.ggml.precompiled_charsmap", list(model.character_map), "UINT8"))
    return keys
