"""Sentencepiece models as files hold them: pieces and settings, taken apart and put together.

The C++ core reads these bytes and tokenises with them. Here they are opened only to change what a piece is, or to build
a model from a file that holds the same in another form. The field numbers are those of sentencepiece_model.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import NamedTuple

from luthier.errors import InputError
from luthier.text.protocol_buffer import Value, encode_fields, encode_number, last_number, read_fields, text_of

__all__ = ["Algorithm", "ModelPiece", "PieceKind", "PieceModel"]

_PIECE, _TRAINER, _NORMALIZER, _DENORMALIZER = 1, 2, 3, 5
_TEXT, _SCORE, _KIND = 1, 2, 3
_ALGORITHM, _BYTE_FALLBACK, _UNKNOWN_ID = 3, 35, 40
_NAMED = {46: ("bos_token", b"<s>"), 47: ("eos_token", b"</s>"), 48: ("pad_token", b"<pad>")}
_CHARACTER_MAP, _ADDS_PREFIX, _REMOVES_SPACES, _ESCAPES_SPACES = 2, 3, 4, 5


class PieceKind(IntEnum):
    """What a piece is. Text that spells a user-defined piece yields it; no text yields a control piece."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class Algorithm(IntEnum):
    """How text is cut into pieces."""

    UNIGRAM = 1
    BPE = 2


class ModelPiece(NamedTuple):
    """A piece as the vocabulary spells it, with ▁ for a space, its score and its kind."""

    text: str
    score: float
    kind: int


@dataclass(frozen=True)
class PieceModel:
    """A sentencepiece model. `trainer`, `normalizer` and `denormalizer` are its settings as they are encoded.

    `name` (a file name) begins the messages about it.
    """

    pieces: tuple[ModelPiece, ...]
    trainer: bytes
    normalizer: bytes
    denormalizer: bytes
    name: str

    @classmethod
    def read(cls, content: bytes, name: str) -> PieceModel:
        """Raises InputError where the bytes are no protocol buffer of a model with pieces."""
        pieces: list[ModelPiece] = []
        settings: dict[int, list[bytes]] = {_TRAINER: [], _NORMALIZER: [], _DENORMALIZER: []}
        try:
            for field, value in read_fields(content):
                if field == _PIECE:
                    pieces.append(_piece(text_of(value)))
                elif field in settings:
                    settings[field].append(text_of(value))
            trainer, normalizer, denormalizer = (b"".join(parts) for parts in settings.values())
            model = cls(tuple(pieces), trainer, normalizer, denormalizer, name)
            _ = model.adds_prefix, model.algorithm, model.special_tokens, model.character_map
        except (ValueError, IndexError, struct.error):
            raise InputError(f"{name}: not a sentencepiece model: the file is damaged or of another kind") from None
        if not pieces:
            raise InputError(f"{name}: not a sentencepiece model: it holds no pieces")
        return model

    @classmethod
    def build(
        cls,
        pieces: Sequence[ModelPiece],
        algorithm: Algorithm,
        *,
        adds_prefix: bool,
        removes_spaces: bool,
        character_map: bytes,
        name: str,
    ) -> PieceModel:
        """A model of these pieces, with byte fallback where bytes are among them.

        `adds_prefix`: a space is put before the text. `removes_spaces`: those at its ends, and all but one of several,
        are left out. `character_map` is sentencepiece's compiled table of the characters to replace, empty for none.
        """
        trainer = {
            _ALGORITHM: int(algorithm),
            _BYTE_FALLBACK: int(any(piece.kind == PieceKind.BYTE for piece in pieces)),
            _UNKNOWN_ID: next((id for id, piece in enumerate(pieces) if piece.kind == PieceKind.UNKNOWN), 0),
        }
        normalizer: dict[int, Value] = {
            _CHARACTER_MAP: character_map,
            _ADDS_PREFIX: int(adds_prefix),
            _REMOVES_SPACES: int(removes_spaces),
            _ESCAPES_SPACES: 1,
        }
        return cls(tuple(pieces), encode_fields(trainer), encode_fields(normalizer), b"", name)

    @property
    def adds_prefix(self) -> bool:
        """Whether a space is put before the text."""
        return bool(last_number(self.normalizer, _ADDS_PREFIX, 1))

    @property
    def removes_spaces(self) -> bool:
        """Whether spaces at the ends of the text, and all but one of several, are left out."""
        return bool(last_number(self.normalizer, _REMOVES_SPACES, 1))

    @property
    def character_map(self) -> bytes:
        """The compiled table of the characters to replace; empty for none."""
        found = [text_of(value) for field, value in read_fields(self.normalizer) if field == _CHARACTER_MAP]
        return found[-1] if found else b""

    @property
    def algorithm(self) -> int:
        """How the model cuts text: one of Algorithm, or a number that has no name there."""
        return last_number(self.trainer, _ALGORITHM, Algorithm.UNIGRAM)

    @property
    def unknown(self) -> int | None:
        """The id of the piece for characters that the model does not know."""
        return next((id for id, piece in enumerate(self.pieces) if piece.kind == PieceKind.UNKNOWN), None)

    @property
    def special_tokens(self) -> dict[str, str]:
        """The texts of the tokens that the model names and has, by the names that Transformers gives them."""
        named = {field: text_of(value) for field, value in read_fields(self.trainer) if field in _NAMED}
        control = {piece.text for piece in self.pieces if piece.kind == PieceKind.CONTROL}
        texts = {name: named.get(field, usual).decode("utf-8", "replace") for field, (name, usual) in _NAMED.items()}
        special = {name: text for name, text in texts.items() if text in control}
        return special if self.unknown is None else special | {"unk_token": self.pieces[self.unknown].text}

    def with_prefix(self, adds_prefix: bool) -> PieceModel:
        """The model with a space put before the text, or without."""
        return replace(self, normalizer=self.normalizer + encode_fields({_ADDS_PREFIX: int(adds_prefix)}))

    def with_pieces(self, changes: Mapping[int, ModelPiece]) -> PieceModel:
        """The model with these pieces in the places of others, by id."""
        if not changes:
            return self
        changed = list(self.pieces)
        for id, piece in changes.items():
            changed[id] = piece
        return replace(self, pieces=tuple(changed))

    def write(self) -> bytes:
        """The bytes of a .model file, without the trainer's self-test, which a changed model need not pass."""
        parts: list[bytes] = []
        for text, score, kind in self.pieces:
            spelled = text.encode("utf-8", "surrogateescape")
            content = b"".join(
                (b"\x0a", encode_number(len(spelled)), spelled, b"\x15", struct.pack("<f", score), b"\x18")
            ) + encode_number(kind)
            parts += (b"\x0a", encode_number(len(content)), content)
        settings = {_TRAINER: self.trainer, _NORMALIZER: self.normalizer, _DENORMALIZER: self.denormalizer}
        parts.append(encode_fields({field: message for field, message in settings.items() if message}))
        return b"".join(parts)


def _piece(content: bytes) -> ModelPiece:
    text, score, kind = b"", 0.0, int(PieceKind.NORMAL)
    for field, value in read_fields(content):
        if field == _TEXT:
            text = text_of(value)
        elif field == _SCORE:
            score = struct.unpack("<f", text_of(value))[0]
        elif field == _KIND and isinstance(value, int):
            kind = value
    return ModelPiece(text.decode("utf-8", "surrogateescape"), score, kind)
