"""The files of a folder whose tokenizer is a sentencepiece model: the model, and what stands beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from luthier.errors import InputError
from luthier.text.control import AddedToken
from luthier.text.piece_backend import PieceDescription
from luthier.text.piece_model import PieceModel

__all__ = ["describe_pieces", "token_text"]

_FLAGS = ("lstrip", "rstrip", "single_word")


def describe_pieces(path: Path, config: Mapping[str, Any], added: Mapping[str, Any]) -> PieceDescription:
    """The tokenizer of the model file at `path`.

    `config` is tokenizer_config.json with special_tokens_map.json, `added` the older added_tokens.json, from text to
    id. `legacy` in the configuration says whether every run of text between tokens gets the model's space before it;
    Transformers takes it for false where it is missing. Raises InputError where a file is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    model = PieceModel.read(content, str(path))
    if config.get("add_prefix_space") is False:
        model = model.with_prefix(False)
    tokens = _listed(config, path.parent) | _older(added, config, path.parent)
    return PieceDescription(model, tuple(tokens.values()), prefix_every_run=bool(config.get("legacy", False)))


def token_text(value: object) -> str | None:
    """A token named in a configuration: a string, or an object with `content`."""
    if isinstance(value, Mapping):
        value = value.get("content")
    return value if isinstance(value, str) else None


def _listed(config: Mapping[str, Any], folder: Path) -> dict[int, AddedToken]:
    """The tokens of `added_tokens_decoder`, by id."""
    listed = config.get("added_tokens_decoder") or {}
    path = folder / "tokenizer_config.json"
    if not isinstance(listed, Mapping):
        raise InputError(f"{path}: added_tokens_decoder is not an object of tokens by id")
    tokens: dict[int, AddedToken] = {}
    for id, token in listed.items():
        text = token_text(token)
        if not str(id).isdigit() or len(str(id)) > 9 or not text or not isinstance(token, Mapping):
            raise InputError(f"{path}: added_tokens_decoder[{id!r}] is not a token with its content")
        flags = {flag: bool(token.get(flag)) for flag in _FLAGS}
        tokens[int(id)] = AddedToken(int(id), text, control=bool(token.get("special")), **flags)
    return tokens


def _older(added: Mapping[str, Any], config: Mapping[str, Any], folder: Path) -> dict[int, AddedToken]:
    """The tokens of added_tokens.json, by id; control tokens are those that the configuration names as such."""
    special = set(_texts(config.get("additional_special_tokens")) | _texts(config.get("extra_special_tokens")))
    tokens: dict[int, AddedToken] = {}
    known = _listed(config, folder)
    for text, id in added.items():
        if not isinstance(id, int) or isinstance(id, bool) or id < 0 or not text:
            raise InputError(f"{folder / 'added_tokens.json'}: {text!r} has no id")
        if id not in known:
            tokens[id] = AddedToken(id, text, control=text in special)
    return tokens


def _texts(values: object) -> set[str]:
    if isinstance(values, Mapping):
        values = list(values.values())
    found: Iterable[object] = values if isinstance(values, list) else []
    return {text for value in found if (text := token_text(value)) is not None}
