"""Text to ids and back by a sentencepiece model in the C++ core, with the tokens that were added to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.text.backend import Piece
from luthier.text.control import AddedToken, ControlTokens
from luthier.text.piece_model import Algorithm, ModelPiece, PieceKind, PieceModel

if TYPE_CHECKING:
    from luthier import _core

__all__ = ["MODEL_FILE", "PieceBackend", "PieceDescription"]

MODEL_FILE = "tokenizer.model"
_KEPT = frozenset({PieceKind.UNKNOWN, PieceKind.BYTE})


@dataclass(frozen=True)
class PieceDescription:
    """A sentencepiece model, and the tokens that configuration files add to it or say more about.

    Where the model puts a space before text, `prefix_every_run` says whether that goes for every run of text between
    two added or control tokens, or for the start of a row alone.
    """

    model: PieceModel
    added: tuple[AddedToken, ...] = ()
    prefix_every_run: bool = False

    def with_tokens(self, new: Sequence[AddedToken]) -> PieceDescription:
        """The same with more tokens."""
        return replace(self, added=(*self.added, *new))


class PieceBackend:
    """The tokenizer that the description amounts to. `special` are the texts of control tokens besides those that the
    model or the description calls so. Raises InputError where the core does not take the model.

    `model` is the description's, with the pieces that added tokens change.
    """

    def __init__(self, description: PieceDescription, special: Iterable[str]) -> None:
        from luthier import _core

        self.description = description
        added = _added_tokens(description, frozenset(special))
        self.model = model = description.model.with_pieces(_said_otherwise(description.model, added))
        self._prefixed = _core.SentencePieceModel.load(model.write(), model.name)
        self._bare = self._prefixed
        if model.adds_prefix and not description.prefix_every_run:
            self._bare = _core.SentencePieceModel.load(model.with_prefix(False).write(), model.name)
        self.added: Sequence[AddedToken] = [added[id] for id in sorted(added)]
        self.size = max([len(model.pieces), *(id + 1 for id in added)])
        self.unknown_id: int | None = model.unknown
        self.settings: Mapping[str, Any] = _settings(description, added)
        self._ids = {token.text: token.id for token in self.added}
        # The core itself matches and writes the user-defined pieces; all other added tokens are kept from it.
        user_defined = {id for id, piece in enumerate(model.pieces) if piece.kind == PieceKind.USER_DEFINED}
        self._whole = {id: token for id, token in added.items() if id not in user_defined}
        matched = [replace(token, control=True) for token in self._whole.values() if not token.control]
        self._matched = ControlTokens(matched) if matched else None

    def encode(self, texts: Sequence[str], *, first: bool) -> list[Piece]:
        """Each text's ids with their places; `first` says whether the texts start a row.

        Of the byte pieces of a character the last stands for it and the others for nothing.
        """
        return [self._encoded(text, first) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, control tokens spelled out; ids outside the vocabulary write nothing."""
        parts: list[str] = []
        run: list[int] = []
        for id in [*ids, None]:
            whole = None if id is None else self._whole.get(id)
            if id is not None and whole is None:
                run += [id] if 0 <= id < len(self._prefixed) else []
                continue
            if run:
                # At the start, the space that the model puts before text is left out again.
                parts.append(self._model_for(not parts).decode(run))
                run = []
            if whole is not None:
                parts.append(whole.text)
        return "".join(parts)

    def written(self, id: int) -> bytes:
        """What the token writes behind others; nothing where there is no such id."""
        if id in self._whole:
            return self._whole[id].text.encode("utf-8", "surrogateescape")
        if not 0 <= id < len(self.model.pieces):
            return b""
        text, _, kind = self.model.pieces[id]
        if kind == PieceKind.BYTE:
            return bytes((int(text[1:-1], 16),))
        return text.replace("▁", " ").encode("utf-8", "surrogateescape")

    def token(self, id: int) -> str | None:
        """The token as the vocabulary spells it, or None."""
        if id in self._whole:
            return self._whole[id].text
        return self._prefixed.piece(id) if 0 <= id < len(self._prefixed) else None

    def id(self, token: str) -> int | None:
        """The id of a token as the vocabulary spells it, or None."""
        return self._ids[token] if token in self._ids else self._prefixed.id(token)

    def save(self, folder: Path) -> None:
        """Writes tokenizer.model. Raises OSError."""
        (folder / MODEL_FILE).write_bytes(self.description.model.write())

    def _encoded(self, text: str, first: bool) -> Piece:
        if self._matched is None:
            return self._model_for(first).encode_pieces(text)
        ids: list[int] = []
        places: list[tuple[int, int]] = []
        position = 0
        for match in [*self._matched.find(text), None]:
            start = len(text) if match is None else match.start
            if start > position:
                found, offsets = self._model_for(first and position == 0).encode_pieces(text[position:start])
                ids += found
                places += [(begin + position, end + position) for begin, end in offsets]
            if match is not None:
                ids.append(match.token.id)
                places.append((match.start, match.end))
                position = match.end
        return ids, places

    def _model_for(self, first: bool) -> _core.SentencePieceModel:
        return self._prefixed if first else self._bare


def _added_tokens(description: PieceDescription, special: frozenset[str]) -> Mapping[int, AddedToken]:
    """The tokens that are matched whole or not at all: by the configuration, and by the model's own word."""
    added = {token.id: token for token in description.added}
    for id, (text, _, kind) in enumerate(description.model.pieces):
        if id in added:
            continue
        if kind == PieceKind.CONTROL or text in special:
            added[id] = AddedToken(id, text, control=True)
        elif kind == PieceKind.USER_DEFINED:
            added[id] = AddedToken(id, text.replace("▁", " "), control=False)
    return {id: replace(token, control=True) if token.text in special else token for id, token in added.items()}


def _settings(description: PieceDescription, added: Mapping[int, AddedToken]) -> dict[str, Any]:
    """What Transformers has to be told about the model: who reads it, and the tokens that it does not know of."""
    model = description.model
    named = "LlamaTokenizer" if model.adds_prefix else "GemmaTokenizer"
    told: dict[int, bool] = {PieceKind.CONTROL: True, PieceKind.USER_DEFINED: False}
    other = {
        id: token
        for id, token in added.items()
        if id >= len(model.pieces) or told.get(model.pieces[id].kind) is not token.control
    }
    return {
        "tokenizer_class": named if model.algorithm == Algorithm.BPE else "PreTrainedTokenizerFast",
        "legacy": description.prefix_every_run,
        "added_tokens_decoder": {str(id): token.description for id, token in sorted(other.items())},
    }


def _said_otherwise(model: PieceModel, added: Mapping[int, AddedToken]) -> dict[int, ModelPiece]:
    """The pieces that an added token makes into control pieces, or gives another text, as it does to spare pieces."""
    taken = {piece.text for piece in model.pieces}
    changes: dict[int, ModelPiece] = {}
    for id, token in added.items():
        if id >= len(model.pieces) or model.pieces[id].kind in _KEPT:
            continue
        piece = model.pieces[id]
        text = token.text.replace(" ", "▁")
        kind = int(PieceKind.CONTROL) if token.control else piece.kind
        changed = ModelPiece(piece.text if text in taken else text, piece.score, kind)
        if changed != piece:
            changes[id] = changed
            taken.add(changed.text)
    return changes
