"""A tokenizer.json made from a sentencepiece BPE model, such as Llama 2's and Gemma's, as the keys of a GGUF file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError
from luthier.export.gguf_keys import GgufKey
from luthier.export.pre_tokenizer import PROBES
from luthier.text.piece_model import PieceKind

if TYPE_CHECKING:
    from luthier.text.tokenizer import Tokenizer

__all__ = ["byte_fallback_keys", "has_byte_fallback"]

_SPACE = "▁"


def has_byte_fallback(description: Mapping[str, Any]) -> bool:
    """Whether a tokenizer.json holds merges over characters, with a token for each byte that none covers."""
    model = description.get("model") or {}
    return model.get("type") == "BPE" and bool(model.get("byte_fallback"))


def byte_fallback_keys(tokenizer: Tokenizer, rows: int) -> list[GgufKey]:
    """The vocabulary for an embedding of `rows` rows, under the name that GGUF gives such models (`llama`).

    Their readers merge the pair whose piece has the best score, a tokenizer.json the pair that is listed first: a
    piece's score is the place of its first merge, negated. Raises InputError where the tokenizer has more tokens than
    rows, or some texts would be tokenised otherwise.
    """
    model = tokenizer.description["model"]
    texts = {int(id): str(text) for text, id in model["vocab"].items()}
    added = {id: text for text, id in tokenizer.added_tokens.items()}
    largest = max([*texts, *added])
    if largest >= rows:
        raise InputError(
            f"[export] the tokenizer has {largest + 1:,} tokens, but the model has rows for {rows:,}; they do not "
            "belong together"
        )
    ranks = _first_merges(model["merges"])
    kinds = [_kind(id, texts, added, tokenizer) for id in range(rows)]
    names = [added.get(id, texts.get(id, f"[PAD{id}]")) for id in range(rows)]
    keys = [
        GgufKey("tokenizer.ggml.model", "llama", "STRING"),
        GgufKey("tokenizer.ggml.pre", "default", "STRING"),
        GgufKey("tokenizer.ggml.tokens", names, "STRING"),
        GgufKey("tokenizer.ggml.scores", [-float(ranks.get(name, 0)) for name in names], "FLOAT32"),
        GgufKey("tokenizer.ggml.token_type", [int(kind) for kind in kinds], "INT32"),
        GgufKey("tokenizer.ggml.add_space_prefix", _adds_prefix(tokenizer.description), "BOOL"),
        GgufKey("tokenizer.ggml.remove_extra_whitespaces", False, "BOOL"),
    ]
    _check(tokenizer, keys)
    return keys


def _first_merges(merges: Sequence[str | Sequence[str]]) -> dict[str, int]:
    first: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
        first.setdefault(left + right, rank)
    return first


def _kind(id: int, texts: Mapping[int, str], added: Mapping[int, str], tokenizer: Tokenizer) -> PieceKind:
    if id == tokenizer.unk_id:
        return PieceKind.UNKNOWN
    if id in tokenizer.control.ids:
        return PieceKind.CONTROL
    if id in added:
        return PieceKind.USER_DEFINED
    if id not in texts:
        return PieceKind.UNUSED
    text = texts[id]
    return PieceKind.BYTE if len(text) == 6 and text.startswith("<0x") and text.endswith(">") else PieceKind.NORMAL


def _adds_prefix(description: Mapping[str, Any]) -> bool:
    """Whether text gets a space before it, as a normalizer or a pre-tokenizer says."""
    parts = [*_parts(description.get("normalizer")), *_parts(description.get("pre_tokenizer"))]
    return any(
        (part.get("type") == "Prepend" and part.get("prepend") == _SPACE)
        or (part.get("type") == "Metaspace" and part.get("prepend_scheme", "always") != "never")
        for part in parts
    )


def _parts(described: Any) -> list[Mapping[str, Any]]:
    if not isinstance(described, Mapping):
        return []
    inner = described.get("normalizers") or described.get("pretokenizers")
    return [part for one in inner for part in _parts(one)] if inner else [described]


def _check(tokenizer: Tokenizer, keys: Sequence[GgufKey]) -> None:
    from luthier.text.tokenizer import Tokenizer

    reader = Tokenizer.from_gguf_metadata({key.name: key.value for key in keys})
    for text in PROBES:
        text = text.strip(" ")  # a text that begins with a space: Transformers and sentencepiece differ by design
        if reader.encode_text(text) != tokenizer.encode_text(text):
            raise InputError(
                f"[export] readers of GGUF files would tokenise otherwise than the tokenizer.json, such as {text!r}; "
                "use --format merged or peft"
            )
