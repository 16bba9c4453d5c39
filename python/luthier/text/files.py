"""The tokenizer files of a Transformers folder, read and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.errors import InputError
from luthier.text.description import with_configured
from luthier.text.piece_backend import MODEL_FILE, PieceDescription
from luthier.text.piece_files import describe_pieces

__all__ = ["TOOL_TEMPLATE", "TokenizerFiles", "read_tokenizer_files"]

TOOL_TEMPLATE = "additional_chat_templates/tool_use.jinja"


@dataclass(frozen=True)
class TokenizerFiles:
    """What a folder says about its tokenizer.

    `description` is the content of tokenizer.json or, where there is none, the sentencepiece model; `source` is the
    file that it comes from. `config` is tokenizer_config.json; `end_ids` come from generation_config.json.
    `tool_template` is the one named tool_use, for chats with tools.
    """

    description: dict[str, Any] | PieceDescription
    source: Path
    config: dict[str, Any]
    chat_template: str | None
    end_ids: tuple[int, ...]
    tool_template: str | None = None


_SOURCES = ("tokenizer.json", MODEL_FILE, "spiece.model")


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a tokenizer in a form that is read."""
    return any((folder / name).exists() for name in _SOURCES)


def read_tokenizer_files(folder: Path) -> TokenizerFiles:
    """tokenizer.json counts where it is there, since it says more than a sentencepiece model.

    Raises InputError where both are missing or a file is not what it should be.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder")
    source = next((folder / name for name in _SOURCES if (folder / name).exists()), None)
    if source is None:
        raise InputError(f"{folder / _SOURCES[0]}: the file is missing, and there is no {MODEL_FILE} either")
    config = _optional(folder / "tokenizer_config.json")
    description: dict[str, Any] | PieceDescription
    if source.suffix == ".json":
        description = with_configured(_json_object(source), config)
    else:
        config = _optional(folder / "special_tokens_map.json") | config
        description = describe_pieces(source, config, _optional(folder / "added_tokens.json"))
    generation_path = folder / "generation_config.json"
    generation = _optional(generation_path)
    ends = generation.get("eos_token_id")
    ends = [] if ends is None else ends if isinstance(ends, list) else [ends]
    if not all(isinstance(end, int) for end in ends):
        raise InputError(f"{generation_path}: eos_token_id is neither a number nor a list of numbers")
    template, tool_template = _chat_templates(folder, config)
    return TokenizerFiles(description, source, config, template, tuple(ends), tool_template)


def _chat_templates(folder: Path, config: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The default template and the one for chats with tools; files win over the configuration."""
    default, tools = _text(folder / "chat_template.jinja"), _text(folder / TOOL_TEMPLATE)
    if default is not None:
        return default, tools
    template = config.get("chat_template")
    if isinstance(template, list):
        named = {item.get("name"): item.get("template") for item in template if isinstance(item, dict)}
        template, tools = named.get("default"), named.get("tool_use")
    for found in (template, tools):
        if found is not None and not isinstance(found, str):
            raise InputError(f"{folder / 'tokenizer_config.json'}: chat_template is not a string")
    return template, tools


def _text(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def _optional(path: Path) -> dict[str, Any]:
    return _json_object(path) if path.exists() else {}


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: holds no JSON object")
    return value
