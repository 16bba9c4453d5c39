"""The form in which texts are compared: what differs only in case, width or spacing is the same text."""

from __future__ import annotations

import unicodedata

__all__ = ["normalised"]


def normalised(text: str) -> str:
    """Unicode's compatibility form (NFKC), case folded, every run of white space one space, none at the ends."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())
