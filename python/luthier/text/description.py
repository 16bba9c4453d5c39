"""What a tokenizer.json says, and the changes to it under which text never yields a control token."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tokenizers import Tokenizer as Backend

from luthier.errors import InputError
from luthier.text.control import AddedToken

__all__ = [
    "added_token",
    "backend_from",
    "control_texts",
    "read_added_tokens",
    "with_configured",
    "with_special",
    "without_first_prefix",
]


def added_token(id: int, text: str, *, special: bool = True) -> dict[str, Any]:
    """An entry of added_tokens in tokenizer.json."""
    return {
        "id": id,
        "content": text,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": special,
    }


def backend_from(description: Mapping[str, Any], source: str) -> Backend:
    """The library's tokenizer, which takes special tokens in text for text. Raises InputError."""
    try:
        backend = Backend.from_str(json.dumps(description))
    except Exception as error:
        raise InputError(f"{source}: not a tokenizer that can be read: {error}") from None
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True
    return backend


def control_texts(description: Mapping[str, Any], named: Iterable[str], source: str) -> frozenset[str]:
    """The texts of the tokens that are special, or that the configuration names."""
    added = description.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(token, dict) for token in added):
        raise InputError(f"{source}: not a tokenizer that can be read: added_tokens is not a list of objects")
    return frozenset(str(token.get("content")) for token in added if token.get("special")) | frozenset(named)


def read_added_tokens(backend: Backend, control: frozenset[str]) -> list[AddedToken]:
    """The added tokens by id; those whose text is in `control` are control tokens."""
    return [
        AddedToken(
            id,
            token.content,
            control=token.content in control,
            lstrip=token.lstrip,
            rstrip=token.rstrip,
            single_word=token.single_word,
        )
        for id, token in sorted(backend.get_added_tokens_decoder().items())
    ]


def with_configured(description: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The description with the added tokens that only tokenizer_config.json lists, by their ids."""
    listed = config.get("added_tokens_decoder")
    if not isinstance(listed, Mapping):
        return description
    present = {token.get("id") for token in description.get("added_tokens") or []}
    missing = [
        {
            **added_token(int(id), str(token["content"])),
            **{key: bool(token.get(key)) for key in ("single_word", "lstrip", "rstrip", "normalized", "special")},
        }
        for id, token in listed.items()
        if str(id).isdigit() and isinstance(token, Mapping) and "content" in token and int(id) not in present
    ]
    if not missing:
        return description
    merged = [*(description.get("added_tokens") or []), *missing]
    return description | {"added_tokens": sorted(merged, key=lambda token: int(token["id"]))}


def with_special(description: dict[str, Any], control: frozenset[str]) -> dict[str, Any]:
    """The description with every control token of the vocabulary added as special, so that text never matches it."""
    listed = description.get("added_tokens") or []
    added = [token | {"special": token.get("content") in control} for token in listed]
    missing = control - {token.get("content") for token in listed}
    vocabulary = (description.get("model") or {}).get("vocab") if missing else None
    if isinstance(vocabulary, dict):
        added += [added_token(vocabulary[text], text) for text in sorted(missing) if text in vocabulary]
    return description | {"added_tokens": sorted(added, key=lambda token: int(token.get("id", 0)))}


def without_first_prefix(description: Any) -> Any:
    """The description for text that does not start the row: only the first word of a row gets the space mark."""
    if isinstance(description, dict):
        return {
            key: (
                "never"
                if key == "prepend_scheme" and value == "first"
                else value
                if key in ("vocab", "merges")
                else without_first_prefix(value)
            )
            for key, value in description.items()
        }
    if isinstance(description, list):
        return [without_first_prefix(value) for value in description]
    return description
