"""Held-out rows that ask nearly what a training row asks."""

from __future__ import annotations

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, Skipped, fine
from luthier.checks.near_duplicates import THRESHOLD, near_matches
from luthier.checks.texts import conversation, key

CODE = "near-leakage"


def look(context: Context) -> Finding | Skipped:
    """Pairs of a training and a held-out row of Jaccard similarity 0.8 and more; `count` is that of held-out rows.

    Exact copies are left to the check `leakage`.
    """
    if not context.held_out:
        return Skipped(CODE, "needs held-out rows: --test FILE")
    records, training = context.data.rows, context.inputs
    rows: list[FindingRow] = []
    leaked = total = 0
    for file in context.held_out:
        total += len(file.rows)
        tests = [(index, conversation(record)) for index, record in enumerate(file.rows)]
        tests = [(index, text) for index, text in tests if key(text) not in training]
        taken = {key(conversation(record)) for record in file.rows}
        own = [members[0] for text, members in training.items() if text not in taken]
        found = near_matches([text for _, text in tests], [conversation(records[index]) for index in own])
        leaked += len({match.index for match in found})
        for match in found:
            place = file.place(tests[match.index][0])
            for index in training[key(conversation(records[own[match.other]]))]:
                rows.append(FindingRow(context.data.place(index), f"similarity {match.similarity:.2f}", place))
    if not rows:
        return fine(CODE, f"no held-out input is nearly one of the training rows (Jaccard similarity {THRESHOLD})")
    message = (
        f"held-out rows that ask nearly what a training row asks ({leaked / total:.1%} of {total:,}; Jaccard "
        f"similarity of 5-character shingles {THRESHOLD} and more): the figures on them are too good"
    )
    rows.sort(key=lambda row: row.note, reverse=True)
    return Finding(CODE, "warning", message, leaked, rows, context.clean("--drop", "near-leakage"))
