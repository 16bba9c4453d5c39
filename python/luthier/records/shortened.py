"""A text of a stranger's in few characters, for messages and tables."""

from __future__ import annotations


def shortened(text: str, width: int = 40) -> str:
    """The text on one line, at most `width` characters long; what is cut off shows as three dots."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."
