"""Tokens that a user adds to a vocabulary: which can be, and whether the tokenizer then reads and writes them."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.errors import InputError
from luthier.text.backend import Backend
from luthier.text.control import ControlTokens

__all__ = ["check_new_tokens", "check_read_and_written"]


def check_new_tokens(backend: Backend, control: ControlTokens, texts: Sequence[str]) -> None:
    """Raises InputError, naming the token, for one that is empty, stands there already, or could make or break the
    spelling of a control token."""
    for index, text in enumerate(texts):
        if not text.strip():
            raise InputError(f"--add-token {text!r}: a new token needs a character that is not white space")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"--add-token {text!r}: is not valid text (UTF-8)") from None
        if text in texts[:index]:
            raise InputError(f"--add-token {text!r}: is given twice")
        if _is_one_token(backend, text):
            raise InputError(f"--add-token {text!r}: is a token of this model already; leave it out")
        if control.touches(text):
            raise InputError(
                f"--add-token {text!r}: holds, or with its neighbours could spell, a control token of this model "
                f"({', '.join(sorted(control.by_text)[:5])}); choose another spelling"
            )


def check_read_and_written(backend: Backend, ids: Sequence[int], texts: Sequence[str]) -> None:
    """Raises InputError where an extended tokenizer does not give a new token its id, or does not write it back."""
    for id, text in zip(ids, texts, strict=True):
        if backend.id(text) != id:
            raise InputError(
                f"--add-token {text!r}: the model's tokenizer gives it the id {backend.id(text)} and not {id}; its ids "
                "have gaps, and no tokens can be added to it"
            )
        read, written = backend.encode([text], first=False)[0][0], backend.decode([id])
        if read != [id] or written != text:
            raise InputError(
                f"--add-token {text!r}: this tokenizer would read it as {len(read)} tokens, and write it as "
                f"{written!r}; choose a spelling of plain letters, digits and signs (ASCII)"
            )


def _is_one_token(backend: Backend, text: str) -> bool:
    if backend.id(text) is not None:
        return True
    ids = backend.encode([text], first=False)[0][0]
    return len(ids) == 1 and backend.decode(ids) == text
