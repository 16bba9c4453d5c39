"""The tokenizer files of a Transformers folder, read and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.errors import InputError

__all__ = ["TOOL_TEMPLATE", "TokenizerFiles", "read_tokenizer_files", "token_text"]

TOOL_TEMPLATE = "additional_chat_templates/tool_use.jinja"


@dataclass(frozen=True)
class TokenizerFiles:
    """What a folder says about its tokenizer.

    `description` is tokenizer.json, `config` tokenizer_config.json; `end_ids` come from generation_config.json.
    `tool_template` is the one named tool_use, for chats with tools.
    """

    description: dict[str, Any]
    config: dict[str, Any]
    chat_template: str | None
    end_ids: tuple[int, ...]
    tool_template: str | None = None


def read_tokenizer_files(folder: Path) -> TokenizerFiles:
    """Raises InputError where tokenizer.json is missing or a file is not what it should be."""
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder")
    path = folder / "tokenizer.json"
    if not path.exists():
        others = [name for name in ("tokenizer.model", "spiece.model") if (folder / name).exists()]
        hint = f" ({others[0]} alone is not enough; save the tokenizer once with Transformers)" if others else ""
        raise InputError(f"{path}: the file is missing{hint}")
    description = _json_object(path)
    config_path = folder / "tokenizer_config.json"
    config = _json_object(config_path) if config_path.exists() else {}
    generation_path = folder / "generation_config.json"
    generation = _json_object(generation_path) if generation_path.exists() else {}
    ends = generation.get("eos_token_id")
    ends = [] if ends is None else ends if isinstance(ends, list) else [ends]
    if not all(isinstance(end, int) for end in ends):
        raise InputError(f"{generation_path}: eos_token_id is neither a number nor a list of numbers")
    template, tool_template = _chat_templates(folder, config)
    return TokenizerFiles(description, config, template, tuple(ends), tool_template)


def token_text(value: object) -> str | None:
    """A token named in a configuration: a string, or an object with `content`."""
    if isinstance(value, Mapping):
        value = value.get("content")
    return value if isinstance(value, str) else None


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
