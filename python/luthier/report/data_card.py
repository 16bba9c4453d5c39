"""Which data a run was made of and judged by: files, counts, dates, hashes, openings of the test file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.evaluation import Evaluation
from luthier.verdict.seal import sealed_test


@dataclass(frozen=True)
class DataFile:
    """One file: what it was for, how many rows of it were used, its SHA-256 then, when it was last changed, and what
    else is known."""

    role: str
    name: str
    rows: int | None
    sha256: str
    changed: str
    note: str = ""


def data_card(record: Mapping[str, Any], evaluation: Evaluation | None) -> list[DataFile]:
    """The files of a run: those it learned from and was chosen by, and every test file that it opened."""
    settings, hashes = record["settings"], record.get("sha256") or {}
    found = []
    rows = record.get("rows") or {}
    used = rows["used"] - rows.get("replay", 0) if "used" in rows else None
    for role, key, count in (("training", "train", used), ("validation", "valid", None)):
        digest = hashes.get(f"{key}_file") or hashes.get(f"{key}_rows") or ""
        if settings.get(key) or digest:
            name = settings.get(key) or "rows in memory"
            found.append(DataFile(role, str(name), count, str(digest), changed(name)))
    for digest, opened in (record.get("test_opened") or {}).items():
        name, times = str(opened.get("file", "")), opened.get("times", 0)
        names = (name, *opened.get("also", ()))
        count = evaluation.n if evaluation is not None and evaluation.test in names else None
        note = f"opened {'once' if times == 1 else f'{times:,} times'} by this run"
        if (seal := sealed_test(name)) is not None:
            note += f"; {seal.summary}" if seal.sealed_sha256 == digest else "; not the file that was sealed"
        found.append(DataFile("test", name, count, str(digest), changed(name), note))
    return found


def changed(name: object) -> str:
    """The day on which a file was last changed, as YYYY-MM-DD; empty where it is gone."""
    try:
        return time.strftime("%Y-%m-%d", time.gmtime(Path(str(name)).stat().st_mtime))
    except (OSError, ValueError):
        return ""
