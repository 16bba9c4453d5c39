"""Text to token ids and back, from a Transformers folder or from the metadata of a GGUF file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from luthier.errors import InputError
from luthier.text.control import ControlTokens
from luthier.text.description import (
    backend_from,
    control_texts,
    read_added_tokens,
    with_configured,
    with_special,
    without_first_prefix,
)
from luthier.text.files import TOOL_TEMPLATE, read_tokenizer_files, token_text
from luthier.text.gguf_tokenizer import description_from_gguf
from luthier.text.template import ChatTemplate

__all__ = ["Piece", "Tokenizer"]

# The tokens that a configuration names, which templates see under these names.
_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_GGUF_NAMES = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
_GGUF_ENDS = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id")

# The token ids of a run of text, and the [start, end) characters of the run that each stands for.
Piece = tuple[list[int], list[tuple[int, int]]]


class Tokenizer:
    """A tokenizer with its chat template.

    `special_tokens` maps names such as `eos_token` to their texts; `control` are the tokens that content never
    yields; `end_ids` are those at which decoding stops; `adds_bos` says whether plain text starts with `bos_id`.
    `tool_template` is a template for chats with tools, which few models have besides `chat_template`.
    """

    def __init__(
        self,
        description: Mapping[str, Any],
        *,
        special_tokens: Mapping[str, str],
        chat_template: str | None = None,
        tool_template: str | None = None,
        end_ids: Iterable[int] = (),
        adds_bos: bool = False,
        config: Mapping[str, Any] | None = None,
        source: str = "tokenizer",
    ) -> None:
        self._description = dict(description)
        self._config = dict(config) if config is not None else _configuration(special_tokens, adds_bos)
        self.special_tokens = dict(special_tokens)
        self.chat_template = chat_template
        self.tool_template = tool_template
        self.adds_bos = adds_bos
        # Text is encoded by backends that know which tokens are control tokens, and never match them.
        control = control_texts(self._description, self.special_tokens.values(), source)
        plain = with_special(self._description, control)
        self._first = backend_from(plain, source)
        later = without_first_prefix(plain)
        self._later = self._first if later == plain else backend_from(later, source)
        added = read_added_tokens(self._first, control)
        self.added_tokens = {token.text: token.id for token in added}
        self.control = ControlTokens(added)
        self.bos_id = self._id_of("bos_token")
        self.eos_id = self._id_of("eos_token")
        self.unk_id = self._id_of("unk_token")
        self.pad_id = self._id_of("pad_token")
        self.vocabulary_size: int = self._first.get_vocab_size(with_added_tokens=True)
        ends = set(end_ids) | ({self.eos_id} if self.eos_id is not None else set())
        self.end_ids = frozenset(id for id in ends if 0 <= id < self.vocabulary_size)
        # A model may need its own unknown token for characters outside its vocabulary; that one cannot be forged.
        unknown = (self._description.get("model") or {}).get("unk_token")
        self._refused = self.control.ids - ({self._first.token_to_id(unknown)} if isinstance(unknown, str) else set())

    @property
    def description(self) -> Mapping[str, Any]:
        """The content of tokenizer.json."""
        return self._description

    @classmethod
    def from_folder(cls, path: str | PathLike[str]) -> Tokenizer:
        """Reads tokenizer.json, tokenizer_config.json, the chat template and the end tokens of generation_config.json.

        Raises InputError where tokenizer.json is missing or a file is damaged.
        """
        folder = Path(path)
        files = read_tokenizer_files(folder)
        special = {name: text for name in _NAMES if (text := token_text(files.config.get(name))) is not None}
        return cls(
            with_configured(files.description, files.config),
            special_tokens=special,
            chat_template=files.chat_template,
            tool_template=files.tool_template,
            end_ids=files.end_ids,
            adds_bos=bool(files.config.get("add_bos_token", False)),
            config=files.config,
            source=str(folder / "tokenizer.json"),
        )

    @classmethod
    def from_gguf_metadata(cls, metadata: Mapping[str, Any], *, split_digits: bool | None = None) -> Tokenizer:
        """Builds the tokenizer that a GGUF file's `tokenizer.*` keys describe (byte-level BPE only).

        `split_digits` False cuts digits as Transformers does for GGUF files (see description_from_gguf); the default
        cuts them as the model's own tokenizer does. Raises InputError where a key is missing or not supported.
        """
        description = description_from_gguf(metadata, split_digits=split_digits)
        tokens = metadata["tokenizer.ggml.tokens"]
        special: dict[str, str] = {}
        for name, key in _GGUF_NAMES.items():
            id = metadata.get(f"tokenizer.ggml.{key}_token_id")
            if id is None:
                continue
            if not 0 <= int(id) < len(tokens):
                raise InputError(f"GGUF: tokenizer.ggml.{key}_token_id is {id}, but there are {len(tokens)} tokens")
            special[name] = str(tokens[int(id)])
        template = metadata.get("tokenizer.chat_template")
        tool_template = metadata.get("tokenizer.chat_template.tool_use")
        return cls(
            description,
            special_tokens=special,
            chat_template=None if template is None else str(template),
            tool_template=None if tool_template is None else str(tool_template),
            end_ids=[int(metadata[key]) for key in _GGUF_ENDS if metadata.get(key) is not None],
            adds_bos=bool(metadata.get("tokenizer.ggml.add_bos_token", False)),
            source="GGUF",
        )

    def encode_text(self, text: str) -> list[int]:
        """The ids of plain text; spellings of control tokens in it are text like any other."""
        return self.encode_pieces([text])[0][0]

    def encode_pieces(self, texts: Sequence[str], *, first: bool = True) -> list[Piece]:
        """Each text's ids, with the [start, end) characters that each id stands for. No text yields a control token.

        `first` says whether the texts start a row: some tokenizers mark the first word of a row differently.
        """
        backend = self._first if first else self._later
        encodings = backend.encode_batch(list(texts), add_special_tokens=False)
        return [self._guarded((encoding.ids, encoding.offsets)) for encoding in encodings]

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """The text of the ids. `skip_special` leaves out the control tokens."""
        if skip_special:
            ids = [id for id in ids if id not in self.control.ids]
        return str(self._first.decode(list(ids), skip_special_tokens=False))

    def token(self, id: int) -> str:
        """The token as the vocabulary spells it. Raises InputError where there is no such id."""
        text = self._first.id_to_token(id) if 0 <= id < 2**32 else None
        if text is None:
            raise InputError(f"there is no token {id}; the vocabulary has {self.vocabulary_size:,}")
        return str(text)

    def template(self) -> ChatTemplate | None:
        """The compiled chat template, or None. Raises InputError where it is no template."""
        return None if self.chat_template is None else ChatTemplate(self.chat_template, self.special_tokens)

    def template_for_tools(self) -> ChatTemplate | None:
        """The compiled template for chats with tools, where the model has one for them. Raises InputError."""
        return None if self.tool_template is None else ChatTemplate(self.tool_template, self.special_tokens)

    def to_json(self) -> str:
        """The content of a tokenizer.json, in which every control token is special."""
        return json.dumps(with_special(self._description, frozenset(self.control.by_text)), ensure_ascii=False)

    def save(self, folder: str | PathLike[str]) -> None:
        """Writes tokenizer.json, tokenizer_config.json and chat_template.jinja, as Transformers' AutoTokenizer reads
        them. The folder is made if it is missing."""
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "tokenizer.json").write_text(json.dumps(self._description, ensure_ascii=False), encoding="utf-8")
            config = json.dumps(self._config, ensure_ascii=False, indent=2)
            (folder / "tokenizer_config.json").write_text(config + "\n", encoding="utf-8")
            if self.chat_template is not None:
                (folder / "chat_template.jinja").write_text(self.chat_template, encoding="utf-8")
            if self.tool_template is not None:
                (folder / TOOL_TEMPLATE).parent.mkdir(exist_ok=True)
                (folder / TOOL_TEMPLATE).write_text(self.tool_template, encoding="utf-8")
        except OSError as error:
            raise InputError(f"{folder}: the tokenizer cannot be saved: {error.strerror or error}") from None

    def __repr__(self) -> str:
        ends = ", ".join(self.token(id) for id in sorted(self.end_ids))
        template = "no chat template" if self.chat_template is None else "chat template"
        return f"Tokenizer({self.vocabulary_size:,} tokens, {len(self.control.ids)} of control, end {ends}, {template})"

    def _id_of(self, name: str) -> int | None:
        text = self.special_tokens.get(name)
        return None if text is None else self._first.token_to_id(text)

    def _guarded(self, piece: Piece) -> Piece:
        """The piece without control tokens, should the vocabulary spell one as an ordinary word."""
        if self._refused.isdisjoint(piece[0]):
            return piece
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        for id, offset in zip(*piece):
            parts = [id]
            if id in self._refused:
                spelled = (self._character(character) for character in self.token(id))
                parts = [part for one in spelled for part in one if part not in self._refused]
            ids += parts
            offsets += [offset] * len(parts)
        return ids, offsets

    def _character(self, character: str) -> list[int]:
        """The ids of one character of a vocabulary entry."""
        id = self._first.token_to_id(character)
        if id is not None:
            return [id]
        return list(self._later.encode(character, add_special_tokens=False).ids)


def _configuration(special_tokens: Mapping[str, str], adds_bos: bool) -> dict[str, Any]:
    """A tokenizer_config.json for a tokenizer that came without one."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": adds_bos,
        "clean_up_tokenization_spaces": False,
        **special_tokens,
    }
