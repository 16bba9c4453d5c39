"""Small sentencepiece models trained for the tests, in the settings of well-known model families."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from strings import strings


@dataclass(frozen=True)
class PieceFamily:
    """A kind of model: what the trainer is told, and the tokenizer_config.json beside the file."""

    name: str
    training: dict[str, Any] = field(hash=False)
    config: dict[str, Any] = field(hash=False)
    control: tuple[str, ...] = ("<s>", "</s>", "<unk>")


_COMMON: dict[str, Any] = {
    "byte_fallback": True,
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "split_digits": True,
    "allow_whitespace_only_pieces": True,
    "character_coverage": 1.0,
    "hard_vocab_limit": False,
    "num_threads": 1,
    "minloglevel": 2,
}
_LLAMA: dict[str, Any] = {"model_type": "bpe", "vocab_size": 1600, "add_dummy_prefix": True, "pad_id": -1}
_NAMES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True}
_TURNS = ("<mask>", "<start_of_turn>", "<end_of_turn>")
_NAMED = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>", "add_bos_token": True}
_NAMED |= {"mask_token": "<mask>"}  # Transformers adds one to Gemma's tokenizers where there is none
_SPACES = tuple("▁" * count for count in range(2, 32))


def _decoder(first: int, *texts: str, special: bool = True) -> dict[str, Any]:
    """added_tokens_decoder for tokens with ids from `first` on."""
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": special}
    return {str(first + index): {"content": text, **flags} for index, text in enumerate(texts)}


LLAMA = PieceFamily("llama", _COMMON | _LLAMA, _NAMES | {"tokenizer_class": "LlamaTokenizer", "legacy": False})
LEGACY = PieceFamily(
    "llama, every run", _COMMON | _LLAMA, _NAMES | {"tokenizer_class": "LlamaTokenizer", "legacy": True}
)
GEMMA = PieceFamily(
    "gemma",
    _COMMON
    | {
        "model_type": "bpe",
        "vocab_size": 1600,
        "add_dummy_prefix": False,
        **{"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3},
        **{"bos_piece": "<bos>", "eos_piece": "<eos>"},
        "user_defined_symbols": [*_TURNS, "<unused0>", "\n\n", "\n\n\n", *_SPACES, "<b>"],
    },
    _NAMED | {"tokenizer_class": "GemmaTokenizer", "added_tokens_decoder": _decoder(4, *_TURNS)},
    ("<bos>", "<eos>", "<unk>", "<pad>", *_TURNS),
)
UNIGRAM = PieceFamily(
    "unigram",
    _COMMON | {"model_type": "unigram", "vocab_size": 1600, "add_dummy_prefix": True},
    _NAMES | {"tokenizer_class": "LlamaTokenizer", "legacy": False},
)
NORMALISED = PieceFamily(
    "unigram, normalised",  # sentencepiece's own settings: characters replaced, spaces left out, no bytes
    {key: value for key, value in _COMMON.items() if key in ("num_threads", "minloglevel", "hard_vocab_limit")}
    | {"model_type": "unigram", "vocab_size": 1200},
    _NAMES | {"tokenizer_class": "LlamaTokenizer", "legacy": False},
)
PIECE_FAMILIES = (LLAMA, LEGACY, GEMMA, UNIGRAM, NORMALISED)


@cache
def trained(family: PieceFamily) -> bytes:
    """The content of tokenizer.model, the same in every run."""
    return _trained(json.dumps(family.training, sort_keys=True))


@cache
def _trained(training: str) -> bytes:
    import sentencepiece

    texts = [text for text in strings(count=3000, seed=1) if "\0" not in text]
    # Rare characters are left to the bytes, or to the unknown token.
    seen = Counter("".join(texts))
    known = "".join(character for character in seen if seen[character] >= 20)
    corpus = [line for text in texts for line in re.sub(f"[^{re.escape(known)}]", "", text).split("\n") if line.strip()]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(corpus), model_writer=model, **json.loads(training))
    return model.getvalue()


def model_proto(family: PieceFamily) -> Any:
    """The model as protobuf reads it, with the pieces that the configuration calls special as control pieces."""
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto.FromString(trained(family))
    for piece in model.pieces:
        if piece.piece in family.control and piece.type == piece.USER_DEFINED:
            piece.type = piece.CONTROL
    return model


def metadata_of(family: PieceFamily, **changes: Any) -> dict[str, Any]:
    """The keys that a converter writes for the model, with user-defined pieces of spaces as spaces."""
    model = model_proto(family)
    spelled = [p.piece.replace("▁", " ") if p.type == p.USER_DEFINED else p.piece for p in model.pieces]
    values = {
        "tokenizer.ggml.model": "llama" if model.trainer_spec.model_type == 2 else "t5",
        "tokenizer.ggml.tokens": spelled,
        "tokenizer.ggml.scores": [piece.score for piece in model.pieces],
        "tokenizer.ggml.token_type": [piece.type for piece in model.pieces],
        "tokenizer.ggml.add_space_prefix": model.normalizer_spec.add_dummy_prefix,
        "tokenizer.ggml.remove_extra_whitespaces": model.normalizer_spec.remove_extra_whitespaces,
        "tokenizer.ggml.precompiled_charsmap": list(model.normalizer_spec.precompiled_charsmap),
        "tokenizer.ggml.bos_token_id": spelled.index(family.config["bos_token"]),
        "tokenizer.ggml.eos_token_id": spelled.index(family.config["eos_token"]),
    }
    return {key: value for key, value in (values | changes).items() if value is not None}


def write_folder(family: PieceFamily, folder: Path, **config: Any) -> Path:
    """A folder with tokenizer.model and tokenizer_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(trained(family))
    (folder / "tokenizer_config.json").write_text(json.dumps(family.config | config), encoding="utf-8")
    return folder
