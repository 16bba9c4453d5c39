"""`luthier generate`: reads chat or prompt rows, answers each, and writes the same rows with `output`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError, LuthierError
from luthier.records import Record, read

if TYPE_CHECKING:
    from luthier.generation.constraint import Constraint
    from luthier.models.model import Model

MAX_NEW_TOKENS = 256


@dataclass(frozen=True)
class GenerationStats:
    """What a call of `generate_file` did: rows answered, tokens in the answers, seconds, bad rows left out."""

    rows: int
    new_tokens: int
    seconds: float
    skipped: int = 0

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def generate_file(
    model: Model,
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    max_new_tokens: int = MAX_NEW_TOKENS,
    temperature: float = 0.0,
    seed: int = 0,
    text: str | None = None,
    label: str | None = None,
    system: str | os.PathLike[str] | None = None,
    skip_bad: bool = False,
    format: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    constraint: Constraint | None = None,
) -> GenerationStats:
    """Answers every row of `source` and writes them to `destination` as JSON lines in the same order, all keys kept.

    A row's answer is the model's turn after its last user message, under the key "output"; an assistant message at the
    end of the row is what is to be answered and is not shown to the model. `text`, `label`, `system` and `format` are
    as in `luthier.read`; `constraint` says what answers may be. `destination` is replaced in one step at the end, so an
    interruption or a full disk leaves what was there. `on_progress` hears (rows finished, rows). Raises InputError for
    what cannot be read, LuthierError for what cannot be written.
    """
    target = Path(destination)
    if target.is_dir():
        raise InputError(f"[generate] {target} is a folder; name a file for the answers")
    if not target.absolute().parent.is_dir():
        raise InputError(f"[generate] there is no folder {target.absolute().parent} to write {target.name} to")
    records = read(source, text=text, label=label, system=system, skip_bad=skip_bad, purpose="prompt", format=format)
    total = len(records)
    if on_progress is not None:
        on_progress(0, total)
    start = time.perf_counter()
    tokens = model.answer_tokens(
        records,
        max_new_tokens,
        temperature,
        seed,
        None if on_progress is None else lambda done: on_progress(done, total),
        constraint,
    )
    seconds = time.perf_counter() - start
    answers = [model.tokenizer.decode(answer) for answer in tokens]
    _write(target, records, answers)
    return GenerationStats(total, sum(len(answer) for answer in tokens), seconds, len(records.bad))


def _write(target: Path, records: Sequence[Record], answers: Sequence[str]) -> None:
    from luthier.durable import write_text

    lines = [
        json.dumps({**record.raw, "output": answer}, ensure_ascii=False)
        for record, answer in zip(records, answers, strict=True)
    ]
    try:
        write_text(target, "".join(line + "\n" for line in lines))
    except OSError as error:
        raise LuthierError(
            f"[generate] cannot write {target}: {error.strerror or error}; it is as it was before"
        ) from error
