"""The errors as the page's script reads them: short keys, cut texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from luthier.report.error_rows import ErrorRow
from luthier.report.parts import Parts
from luthier.report.plain import cut, script_json, visible
from luthier.report.show_errors import summary

MOST_ROWS = 5000
_FIRST = 20
_PROMPT, _ANSWER, _NEAR = 900, 700, 90
_KINDS = {"answer": "answer wrong", "form": "form wrong", "label": "label looks wrong"}


def errors_view(parts: Parts, safe: Callable[[str], Any]) -> dict[str, Any] | None:
    """The worst rows, for the script (`data`) and, the first of them, for where scripts do not run (`first`)."""
    found = parts.errors
    if found is None:
        return None
    labels = list(found.of("label"))
    ordered = [*labels, *(row for row in found.rows if row.kind != "label")] if len(labels) <= _FIRST else [*found.rows]
    rows = [_row(row, found.task) for row in ordered[:MOST_ROWS]]
    kinds = {row.kind for row in found.rows}
    notes = list(found.notes)
    if len(found.rows) > MOST_ROWS:
        notes.append(f"The first {MOST_ROWS:,} are here; luthier errors --json lists all.")
    classes = found.task == "classify"
    return {
        "summary": summary(found),
        "count": len(found.rows),
        "notes": notes,
        "kinds": [(kind, words) for kind, words in _KINDS.items() if kind in kinds],
        "expected": sorted({row["e"] for row in rows}) if classes else [],
        "got": sorted({row["o"] for row in rows}) if classes else [],
        "shown": f"the first {min(_FIRST, len(rows)):,} of {len(rows):,} rows",
        "first": [row | {"label": _KINDS[row["k"]]} for row in rows[:_FIRST]],
        "data": safe(script_json(rows)),
    }


def _row(row: ErrorRow, task: str) -> dict[str, Any]:
    value: dict[str, Any] = {
        "w": visible(row.where),
        "k": row.kind,
        "e": cut(row.expected.strip(), _ANSWER),
        "o": cut(row.output.strip(), _ANSWER),
        "p": None if row.prompt is None else cut(row.prompt, _PROMPT),
        "n": [
            [visible(one.where), cut(" ".join(one.answer.split()), _NEAR), f"{one.similarity:.2f}"]
            for one in row.nearest[:3]
        ],
    }
    if task in ("extract", "write"):
        value["s"] = f"score {row.score:.2f}"
    if row.agreeing:
        value["a"] = visible(", ".join(row.agreeing))
    return value
