"""Byte-level BPE tokenizers built from the metadata of a GGUF file, which holds no tokenizer.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.errors import InputError
from luthier.text.description import added_token

__all__ = ["description_from_gguf"]

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = range(1, 7)

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_TEKKEN = rf"{_UPPER}*{_LOWER}+|{_UPPER}+{_LOWER}*|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"

# How text is cut before merging, by the value of tokenizer.ggml.pre.
_SPLITS = {
    "llama-bpe": rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}",
    "qwen2": rf"{_WORDS}|\p{{N}}|{_REST}",
    "tekken": _TEKKEN,
}
_SAME = {
    "llama3": "llama-bpe",
    "llama-v3": "llama-bpe",
    "falcon3": "llama-bpe",
    "pixtral": "llama-bpe",
    "dbrx": "llama-bpe",
    "smaug-bpe": "llama-bpe",
    "deepseek-r1-qwen": "qwen2",
    "stablelm2": "qwen2",
}
_SINGLE_DIGITS = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell"})
_PLAIN = frozenset({"default", "gpt-2", "gpt2", "olmo", "mpt", "phi-2"})
# These take a whole pre-token that is in the vocabulary as it is, without merging; but for some that only cut as they.
_IGNORE_MERGES = frozenset({"llama-bpe", "tekken"})
_MERGED = frozenset({"dbrx", "smaug-bpe"})


def description_from_gguf(metadata: Mapping[str, Any], *, split_digits: bool | None = None) -> dict[str, Any]:
    """The tokenizer.json that the keys `tokenizer.ggml.*` amount to: model gpt2, byte-level BPE.

    `tokenizer.ggml.pre` says how the model's own tokenizer cuts text. For smollm that is every digit by itself, which
    changes the whitespace before digits ("\\n\\n1"); Transformers leaves it out for GGUF files, and `split_digits`
    False does as Transformers does. Raises InputError where a key is missing or its value unknown or inconsistent.
    """
    kind = metadata.get("tokenizer.ggml.model")
    if kind is None:
        raise InputError("GGUF: holds no tokenizer (the key tokenizer.ggml.model is missing)")
    if kind != "gpt2":
        raise InputError(
            f"GGUF: the tokenizer model {kind!r} is not supported, only 'gpt2' (byte-level BPE), 'llama' and 't5' "
            "(sentencepiece); use the model's Transformers folder instead"
        )
    tokens = _strings(metadata, "tokenizer.ggml.tokens")
    merges = _merges(_strings(metadata, "tokenizer.ggml.merges"))
    types = list(metadata.get("tokenizer.ggml.token_type") or [])
    if types and len(types) != len(tokens):
        raise InputError(f"GGUF: {len(tokens)} tokens but {len(types)} values in tokenizer.ggml.token_type")
    vocabulary = {token: index for index, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens):
        raise InputError("GGUF: a token stands twice in tokenizer.ggml.tokens")
    named = str(metadata.get("tokenizer.ggml.pre", "default"))
    pre = _SAME.get(named, named)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            added_token(index, token, special=int(kind) == _CONTROL)
            for index, (token, kind) in enumerate(zip(tokens, types))
            if int(kind) in (_CONTROL, _USER_DEFINED) and token
        ],
        "normalizer": None,
        "pre_tokenizer": _pre_tokenizer(pre, split_digits),
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": pre in _IGNORE_MERGES and named not in _MERGED,
            "vocab": vocabulary,
            "merges": merges,
        },
    }


def _pre_tokenizer(pre: str, split_digits: bool | None) -> dict[str, Any]:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    if pre in _SPLITS:
        split = {"type": "Split", "pattern": {"Regex": _SPLITS[pre]}, "behavior": "Isolated", "invert": False}
        return {"type": "Sequence", "pretokenizers": [split, byte_level | {"use_regex": False}]}
    if pre in _SINGLE_DIGITS:
        if split_digits is False:
            return byte_level
        return {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]}
    if pre in _PLAIN:
        return byte_level
    known = ", ".join(sorted({*_SPLITS, *_SAME, *_SINGLE_DIGITS, *_PLAIN}))
    raise InputError(
        f"GGUF: the pre-tokenizer {pre!r} is not known (known: {known}); use the model's Transformers folder instead"
    )


def _strings(metadata: Mapping[str, Any], key: str) -> list[str]:
    value = metadata.get(key)
    if value is None:
        raise InputError(f"GGUF: the key {key} is missing")
    strings = list(value)
    if not all(isinstance(item, str) for item in strings):
        raise InputError(f"GGUF: {key} is not a list of strings")
    return strings


def _merges(lines: list[str]) -> list[list[str]]:
    merges = []
    for index, line in enumerate(lines):
        pair = line.split(" ")
        if len(pair) != 2 or not all(pair):
            raise InputError(f"GGUF: tokenizer.ggml.merges[{index}] is {line!r}, not two tokens with a space between")
        merges.append(pair)
    return merges
