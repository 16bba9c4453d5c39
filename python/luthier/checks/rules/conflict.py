"""Rows that ask the same and answer differently."""

from __future__ import annotations

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, fine
from luthier.checks.labels import closed_set
from luthier.checks.texts import answer, conversation, instruction, key, quoted

CODE = "conflict"


def look(context: Context) -> Finding:
    """Every row whose system message and conversation also stand with another answer; case and spacing apart."""
    records = context.data.rows
    groups: dict[bytes, list[int]] = {}
    for index, record in enumerate(records):
        groups.setdefault(key(instruction(record), conversation(record)), []).append(index)
    rows = []
    conflicts = 0
    for members in groups.values():
        answers = [key(answer(records[index])) for index in members]
        if len(set(answers)) < 2:
            continue
        conflicts += 1
        for index, own in zip(members, answers):
            other = next(row for row, text in zip(members, answers) if text != own)
            note = f"{quoted(answer(records[index]), 32)}, there {quoted(answer(records[other]), 32)}"
            rows.append(FindingRow(context.data.place(index), note, context.data.place(other)))
    if not rows:
        return fine(CODE, "no input has two answers")
    reason = "no model can get all of them right" if closed_set(context.data) else "fine where many answers are good"
    message = f"rows that ask the same and answer differently ({conflicts:,} inputs): {reason}"
    return Finding(CODE, "warning", message, len(rows), rows, context.clean("--drop", "conflicts"))
