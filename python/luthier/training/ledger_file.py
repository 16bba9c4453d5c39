"""ledger.jsonl: what became of every row of the input, one line per row, bad rows included."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier import durable

LedgerLine = dict[str, Any]


def bad_row(file: str, line: int, reason: str) -> LedgerLine:
    """The ledger's line of a row that could not be read."""
    counts = {"tokens": 0, "supervised_tokens": 0, "end_supervised": False, "tokens_cut": 0}
    return {"file": file, "line": line, **counts, "dropped": reason, "times_seen": 0}


def ledger_lines(
    entries: Sequence[Mapping[str, Any]],
    places: Sequence[tuple[str, int]],
    bad: Sequence[LedgerLine] = (),
    seen_before: Sequence[int] | None = None,
    first_replay: int | None = None,
) -> list[LedgerLine]:
    """The core's ledger with file and line for row numbers, merged with the bad rows in the order of the input.

    `places[row]` is (file, line) of a row. `seen_before[i]` is how often entry i was seen by the earlier parts of a
    continued run. In a run with replay, whose general rows have the numbers from `first_replay` on, every line says
    under `replay` whether it is one of these.
    """
    lines: list[LedgerLine] = []
    for index, entry in enumerate(entries):
        file, number = places[entry["row"]]
        line = {"file": file, "line": number, **{key: entry[key] for key in entry if key != "row"}}
        if seen_before is not None:
            line["times_seen"] += seen_before[index]
        if first_replay is not None:
            line["replay"] = entry["row"] >= first_replay
        lines.append(line)
    if first_replay is not None:
        bad = [{"replay": False, **line} for line in bad]
    files = list(dict.fromkeys(line["file"] for line in (*lines, *bad)))
    return sorted([*lines, *bad], key=lambda line: (files.index(line["file"]), line["line"]))


def write_ledger(path: Path, lines: Sequence[LedgerLine]) -> None:
    """Writes the ledger in one step. Raises OSError."""
    durable.write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def read_ledger(path: Path) -> list[LedgerLine]:
    """The lines of a ledger file. Raises OSError."""
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]


def summarise(lines: Sequence[LedgerLine]) -> dict[str, Any]:
    """Counts over the ledger: rows, used, cut, without a supervised end, dropped by reason; with replay, how many of
    the used rows are general ones, and which share of what was seen they were."""
    used = [line for line in lines if line["dropped"] is None]
    replayed = [line for line in used if line.get("replay")]
    replay: dict[str, Any] = {}
    if replayed:
        seen = sum(line["times_seen"] for line in used)
        share = sum(line["times_seen"] for line in replayed) / seen if seen else 0.0
        replay = {"replay": len(replayed), "replay_share_seen": share}
    return {
        "rows": len(lines),
        "used": len(used),
        "tokens": sum(line["tokens"] for line in used),
        "supervised_tokens": sum(line["supervised_tokens"] for line in used),
        "cut": sum(1 for line in used if line["tokens_cut"]),
        "end_not_supervised": sum(1 for line in used if not line["end_supervised"]),
        "dropped": dict(Counter(line["dropped"] for line in lines if line["dropped"] is not None)),
        **replay,
    }
