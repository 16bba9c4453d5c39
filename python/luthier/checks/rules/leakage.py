"""Rows to be held out that stand among the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, Skipped, fine
from luthier.checks.texts import answer, conversation, instruction, key
from luthier.records.record import Record

CODE = "leakage"


def look(context: Context) -> Finding | Skipped:
    """Every training row that asks what a held-out row asks, case and spacing apart, with that row.

    `count` is that of the held-out rows. Both rows may have no system message, the same or different ones; only where
    the system messages differ and the answers too it is another task on the same text, and no leak.
    """
    if not context.held_out:
        return Skipped(CODE, "needs held-out rows: --test FILE")
    records, training = context.data.rows, context.inputs
    rows: list[FindingRow] = []
    leaked = total = 0
    for file in context.held_out:
        total += len(file.rows)
        held: dict[bytes, list[int]] = {}
        for index, record in enumerate(file.rows):
            text = key(conversation(record))
            if text in training:
                held.setdefault(text, []).append(index)
        for text, tests in held.items():
            own = [i for i in training[text] if _of_one_task(records[i], [file.rows[j] for j in tests])]
            tests = [j for j in tests if _of_one_task(file.rows[j], [records[i] for i in own])]
            leaked += len(tests)
            # Every row of either side is named once at least.
            for mine, theirs in zip_longest(own, tests):
                mine, theirs = own[-1] if mine is None else mine, tests[-1] if theirs is None else theirs
                same = key(answer(records[mine])) == key(answer(file.rows[theirs]))
                note = "the same input and answer" if same else "the same input, another answer"
                rows.append(FindingRow(context.data.place(mine), note, file.place(theirs)))
    if not rows:
        return fine(CODE, f"none of the {total:,} held-out inputs stands among the training rows")
    message = (
        f"held-out rows whose input stands among the training rows ({leaked / total:.1%} of {total:,}): "
        "what is measured on them is memory, so no row at all is tolerated"
    )
    return Finding(CODE, "error", message, leaked, rows, context.clean("--drop", "leakage"))


def _of_one_task(record: Record, others: Sequence[Record]) -> bool:
    own, text = instruction(record), answer(record)
    return any(
        not own or not instruction(other) or key(own) == key(instruction(other)) or key(text) == key(answer(other))
        for other in others
    )
