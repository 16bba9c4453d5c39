"""The general material that ships with Luthier: short instructions with checkable answers, and prose."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from luthier.forgetting.checker import Checker, checker_from
from luthier.records import Message, Record

_FOLDER = Path(__file__).parent / "material"
INSTRUCTIONS_FILE = _FOLDER / "instructions.jsonl"
PROSE_FILE = _FOLDER / "prose.jsonl"


@dataclass(frozen=True)
class Instruction:
    """A task of one line. `answer` is one right answer, `checker` tells other right ones. `id` is topic and number."""

    id: str
    prompt: str
    answer: str
    checker: Checker
    line: int

    @property
    def topic(self) -> str:
        """The topic: arithmetic, capitals, plurals, ..."""
        return self.id.rpartition("-")[0]

    @property
    def record(self) -> Record:
        """The instruction as a chat that ends with its answer."""
        messages = (Message("user", self.prompt, 0.0), Message("assistant", self.answer))
        return Record(messages, file=INSTRUCTIONS_FILE.name, line=self.line)


@functools.cache
def instructions() -> tuple[Instruction, ...]:
    """The instructions, in the order of the file."""
    rows = [json.loads(line) for line in INSTRUCTIONS_FILE.read_text(encoding="utf-8").splitlines()]
    return tuple(
        Instruction(row["id"], row["prompt"], row["answer"], checker_from(row["check"], f"instructions:{line}"), line)
        for line, row in enumerate(rows, start=1)
    )


@functools.cache
def prose() -> tuple[str, ...]:
    """Paragraphs of 60 to 120 words on many subjects."""
    return tuple(json.loads(line)["text"] for line in PROSE_FILE.read_text(encoding="utf-8").splitlines())


@functools.cache
def material_sha256() -> str:
    """SHA-256 over both files: figures of different material cannot be compared."""
    digest = hashlib.sha256()
    for path in (INSTRUCTIONS_FILE, PROSE_FILE):
        digest.update(path.read_bytes())
    return digest.hexdigest()
