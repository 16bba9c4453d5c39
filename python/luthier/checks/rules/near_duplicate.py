"""Rows that ask nearly the same as an earlier one."""

from __future__ import annotations

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, fine
from luthier.checks.near_duplicates import THRESHOLD, near_duplicates
from luthier.checks.texts import conversation, key

CODE = "near-duplicate"


def look(context: Context) -> Finding:
    """Pairs whose conversations, without system message and answer, have a Jaccard similarity of 0.8 or more.

    Rows that ask exactly the same are duplicates or conflicts; together they are near to an earlier one or not.
    """
    records = context.data.rows
    groups: dict[bytes, list[int]] = {}
    for index, record in enumerate(records):
        groups.setdefault(key(conversation(record)), []).append(index)
    members = list(groups.values())
    found = near_duplicates([conversation(records[same[0]]) for same in members])
    rows = [
        FindingRow(
            context.data.place(index),
            f"similarity {match.similarity:.2f}",
            context.data.place(members[match.other][0]),
        )
        for match in found
        for index in members[match.index]
    ]
    if not rows:
        return fine(CODE, f"no two rows ask nearly the same (Jaccard similarity of 5-character shingles {THRESHOLD})")
    message = (
        f"rows that ask nearly the same as an earlier one (Jaccard similarity of 5-character shingles {THRESHOLD} and "
        "more, where people agree that two texts are versions of one): keep such rows on one side of a split"
    )
    return Finding(CODE, "warning", message, len(rows), rows, context.clean("--drop", "near-duplicates"))
