"""The parts of a record that the checks compare."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from luthier.checks.normal import normalised
from luthier.records.record import Message, Record

__all__ = ["answer", "conversation", "instruction", "key", "quoted"]

_INSTRUCTIONS = ("system", "developer")


def instruction(record: Record) -> str:
    """The system message; empty where there is none."""
    first = record.messages[0] if record.messages else None
    return first.content if first is not None and first.role in _INSTRUCTIONS else ""


def conversation(record: Record) -> str:
    """What is asked: the messages before the answer, without the system message, which many rows share."""
    return "\n".join(_asked(record.prompt))


def answer(record: Record) -> str:
    """The answer to learn; empty where there is none."""
    return record.reference or ""


def key(*texts: str) -> bytes:
    """16 bytes that are the same for texts that are the same after `normalised`."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        content = normalised(text).encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.digest()


def quoted(text: str, width: int = 48) -> str:
    """The text in quotation marks on one line, its middle left out where it is longer than `width`."""
    text = " ".join(text[: 4 * width].split()) if len(text) > 4 * width else text.replace("\n", " ")
    return f'"{text}"' if len(text) <= width else f'"{text[: width - 3]}..."'


def _asked(messages: Iterable[Message]) -> list[str]:
    return [message.content for message in messages if message.role not in _INSTRUCTIONS]
