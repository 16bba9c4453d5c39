"""Text to token ids and back, from a Transformers folder or from the metadata of a GGUF file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from luthier.errors import InputError, LuthierError
from luthier.text.backend import Backend, Piece
from luthier.text.control import AddedToken, ControlTokens
from luthier.text.description import added_token, with_special
from luthier.text.files import TOOL_TEMPLATE, read_tokenizer_files
from luthier.text.gguf_pieces import PIECE_MODELS, describe_gguf_pieces
from luthier.text.gguf_tokenizer import description_from_gguf
from luthier.text.json_backend import JsonBackend
from luthier.text.new_tokens import check_new_tokens, check_read_and_written
from luthier.text.piece_backend import PieceBackend, PieceDescription
from luthier.text.piece_files import token_text
from luthier.text.template import ChatTemplate

__all__ = ["Piece", "Tokenizer"]

# The tokens that a configuration names, which templates see under these names.
_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_GGUF_NAMES = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
_GGUF_ENDS = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id")


class Tokenizer:
    """A tokenizer with its chat template.

    `description` is the content of a tokenizer.json, or a sentencepiece model with the tokens added to it.
    `special_tokens` maps names such as `eos_token` to their texts; `control` are the tokens that content never
    yields; `end_ids` are those at which decoding stops; `adds_bos` says whether plain text starts with `bos_id`.
    `tool_template` is a template for chats with tools, which few models have besides `chat_template`.
    """

    def __init__(
        self,
        description: Mapping[str, Any] | PieceDescription,
        *,
        special_tokens: Mapping[str, str],
        chat_template: str | None = None,
        tool_template: str | None = None,
        end_ids: Iterable[int] = (),
        adds_bos: bool = False,
        config: Mapping[str, Any] | None = None,
        source: str = "tokenizer",
    ) -> None:
        self.special_tokens = dict(special_tokens)
        self.chat_template = chat_template
        self.tool_template = tool_template
        self.adds_bos = adds_bos
        self._backend: Backend
        if isinstance(description, PieceDescription):
            self._description: dict[str, Any] = {}
            self._backend = PieceBackend(description, self.special_tokens.values())
        else:
            self._description = dict(description)
            self._backend = JsonBackend(description, self.special_tokens.values(), source)
        self.added_tokens = {token.text: token.id for token in self._backend.added}
        self.control = ControlTokens(self._backend.added)
        self._config = self._configuration() if config is None else self._with_pieces_added(config)
        self.bos_id = self._id_of("bos_token")
        self.eos_id = self._id_of("eos_token")
        self.unk_id = self._id_of("unk_token")
        self.pad_id = self._id_of("pad_token")
        self.vocabulary_size = self._backend.size
        ends = set(end_ids) | ({self.eos_id} if self.eos_id is not None else set())
        self.end_ids = frozenset(id for id in ends if 0 <= id < self.vocabulary_size)
        # A model may need its own unknown token for characters outside its vocabulary; that one cannot be forged.
        self._refused = self.control.ids - {self._backend.unknown_id}

    @property
    def description(self) -> Mapping[str, Any]:
        """The content of tokenizer.json; nothing where a sentencepiece model takes its place."""
        return self._description

    @property
    def pieces(self) -> PieceBackend | None:
        """The sentencepiece model at work, or None where the tokenizer is described by a tokenizer.json."""
        return self._backend if isinstance(self._backend, PieceBackend) else None

    @classmethod
    def from_folder(cls, path: str | PathLike[str]) -> Tokenizer:
        """Reads tokenizer.json or tokenizer.model, the configurations beside it, the chat template and the end tokens
        of generation_config.json.

        Raises InputError where there is neither or a file is damaged.
        """
        files = read_tokenizer_files(Path(path))
        special = {name: text for name in _NAMES if (text := token_text(files.config.get(name))) is not None}
        has_model = isinstance(files.description, PieceDescription)
        if isinstance(files.description, PieceDescription):
            special = files.description.model.special_tokens | special
        return cls(
            files.description,
            special_tokens=special,
            chat_template=files.chat_template,
            tool_template=files.tool_template,
            end_ids=files.end_ids,
            # Sentencepiece models want the begin token unless a configuration says otherwise, as in Llama and Gemma.
            adds_bos=bool(files.config.get("add_bos_token", has_model)),
            config=files.config,
            source=str(files.source),
        )

    @classmethod
    def from_gguf_metadata(cls, metadata: Mapping[str, Any], *, split_digits: bool | None = None) -> Tokenizer:
        """Builds the tokenizer that a GGUF file's `tokenizer.*` keys describe: byte-level BPE or a sentencepiece model.

        `split_digits` False cuts digits as Transformers does for GGUF files (see description_from_gguf); the default
        cuts them as the model's own tokenizer does. Raises InputError where a key is missing or not supported.
        """
        description: Mapping[str, Any] | PieceDescription
        special: dict[str, str] = {}
        has_model = str(metadata.get("tokenizer.ggml.model")) in PIECE_MODELS
        if has_model:
            description = describe_gguf_pieces(metadata)
            special = description.model.special_tokens
        else:
            description = description_from_gguf(metadata, split_digits=split_digits)
        tokens = metadata["tokenizer.ggml.tokens"]
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
            adds_bos=bool(metadata.get("tokenizer.ggml.add_bos_token", has_model)),
            source="GGUF",
        )

    def with_tokens(self, texts: Sequence[str]) -> Tokenizer:
        """This tokenizer with new tokens behind its own, in their order. They are matched whole in text, content
        included: they are no control tokens.

        Raises InputError that names a token which cannot be added.
        """
        if not texts:
            return self
        check_new_tokens(self._backend, self.control, texts)
        first = max(self.vocabulary_size, *(id + 1 for id in self.added_tokens.values()), 0)
        ids = range(first, first + len(texts))
        new = [AddedToken(id, text, control=False) for id, text in zip(ids, texts, strict=True)]
        extended = Tokenizer(
            self._extended(new),
            special_tokens=self.special_tokens,
            chat_template=self.chat_template,
            tool_template=self.tool_template,
            end_ids=self.end_ids,
            adds_bos=self.adds_bos,
            config=_with_configured(self._config, new),
        )
        check_read_and_written(extended._backend, ids, texts)
        return extended

    def encode_text(self, text: str) -> list[int]:
        """The ids of plain text; spellings of control tokens in it are text like any other."""
        return self.encode_pieces([text])[0][0]

    def encode_pieces(self, texts: Sequence[str], *, first: bool = True) -> list[Piece]:
        """Each text's ids, with the [start, end) characters that each id stands for. No text yields a control token.

        `first` says whether the texts start a row: some tokenizers mark the first word of a row differently.
        """
        return [self._guarded(piece) for piece in self._backend.encode(texts, first=first)]

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """The text of the ids. `skip_special` leaves out the control tokens."""
        if skip_special:
            ids = [id for id in ids if id not in self.control.ids]
        return self._backend.decode(ids)

    def token(self, id: int) -> str:
        """The token as the vocabulary spells it. Raises InputError where there is no such id."""
        text = self._backend.token(id)
        if text is None:
            raise InputError(f"there is no token {id}; the vocabulary has {self.vocabulary_size:,}")
        return text

    def template(self) -> ChatTemplate | None:
        """The compiled chat template, or None. Raises InputError where it is no template."""
        return None if self.chat_template is None else ChatTemplate(self.chat_template, self.special_tokens)

    def template_for_tools(self) -> ChatTemplate | None:
        """The compiled template for chats with tools, where the model has one for them. Raises InputError."""
        return None if self.tool_template is None else ChatTemplate(self.tool_template, self.special_tokens)

    def to_json(self) -> str:
        """The content of a tokenizer.json, in which every control token is special.

        Raises InputError where a sentencepiece model takes its place.
        """
        if self.pieces is not None:
            raise InputError("the tokenizer is a sentencepiece model, which no tokenizer.json describes")
        return json.dumps(with_special(self._description, frozenset(self.control.by_text)), ensure_ascii=False)

    def save(self, folder: str | PathLike[str]) -> None:
        """Writes tokenizer.json or tokenizer.model, tokenizer_config.json and chat_template.jinja, as Transformers'
        AutoTokenizer reads them. The folder is made if it is missing."""
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._backend.save(folder)
            config = json.dumps(self._config, ensure_ascii=False, indent=2)
            (folder / "tokenizer_config.json").write_text(config + "\n", encoding="utf-8")
            if self.chat_template is not None:
                (folder / "chat_template.jinja").write_text(self.chat_template, encoding="utf-8")
            if self.tool_template is not None:
                (folder / TOOL_TEMPLATE).parent.mkdir(exist_ok=True)
                (folder / TOOL_TEMPLATE).write_text(self.tool_template, encoding="utf-8")
        except OSError as error:
            raise LuthierError(f"{folder}: the tokenizer cannot be saved: {error.strerror or error}") from None

    def __repr__(self) -> str:
        ends = ", ".join(self.token(id) for id in sorted(self.end_ids))
        template = "no chat template" if self.chat_template is None else "chat template"
        return f"Tokenizer({self.vocabulary_size:,} tokens, {len(self.control.ids)} of control, end {ends}, {template})"

    def _id_of(self, name: str) -> int | None:
        text = self.special_tokens.get(name)
        return None if text is None else self._backend.id(text)

    def _configuration(self) -> dict[str, Any]:
        """A tokenizer_config.json for a tokenizer that came without one."""
        return {
            "add_bos_token": self.adds_bos,
            "clean_up_tokenization_spaces": False,
            **self.special_tokens,
            **self._backend.settings,
        }

    def _with_pieces_added(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A tokenizer_config.json that lists what was added to a sentencepiece model, wherever that stood before."""
        if self.pieces is None:
            return dict(config)
        told = self.pieces.settings["added_tokens_decoder"]
        return {**config, "added_tokens_decoder": {**told, **(config.get("added_tokens_decoder") or {})}}

    def _extended(self, new: Sequence[AddedToken]) -> Mapping[str, Any] | PieceDescription:
        """What describes this tokenizer with more tokens."""
        if self.pieces is not None:
            return self.pieces.description.with_tokens(new)
        listed = self._description.get("added_tokens") or []
        return self._description | {
            "added_tokens": [*listed, *(added_token(token.id, token.text, special=False) for token in new)]
        }

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
        id = self._backend.id(character)
        return [id] if id is not None else self._backend.encode([character], first=False)[0][0]


def _with_configured(config: Mapping[str, Any], new: Sequence[AddedToken]) -> dict[str, Any]:
    """A tokenizer_config.json that lists the new tokens where it lists the others."""
    listed = config.get("added_tokens_decoder")
    if not isinstance(listed, Mapping):
        return dict(config)
    return {**config, "added_tokens_decoder": {**listed, **{str(token.id): token.description for token in new}}}
