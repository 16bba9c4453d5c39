"""Spelling variants of one label."""

from __future__ import annotations

from collections import Counter

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, Skipped, fine
from luthier.checks.labels import labels_of, variants

CODE = "label-variant"


def look(context: Context) -> Finding | Skipped:
    """Rows with a spelling of their label that is not the most frequent one, in any of the files."""
    labels = labels_of(context.data)
    if labels is None:
        return Skipped(CODE, "the answers are no closed set of labels")
    sets = [(context.data, labels)]
    for file in context.held_out:
        sets.append((file, [record.reference or "" for record in file.rows]))
    # Training decides what is usual; a spelling of the test file that training never writes is a variant too.
    everything = labels * 2 + [label for _, own in sets[1:] for label in own if label]
    found = variants(everything)
    counts = Counter(labels)
    rows = [
        FindingRow(file.place(index), f"{label!r} for {found[label]!r} ({counts[found[label]]:,} rows)")
        for file, own in sets
        for index, label in enumerate(own)
        if label in found
    ]
    if not rows:
        return fine(CODE, f"each of the {len(set(labels)):,} labels has one spelling")
    pairs = Counter((label, found[label]) for _, own in sets for label in own if label in found)
    shown = ", ".join(f"{wrong!r} for {right!r}" for (wrong, right), _ in pairs.most_common(3))
    more = f" and {len(pairs) - 3:,} more" if len(pairs) > 3 else ""
    message = (
        f"rows with another spelling of a label than the usual one: {shown}{more}; each spelling is learned and scored "
        "as a class of its own"
    )
    return Finding(CODE, "warning", message, len(rows), rows, context.clean("--merge-labels"))
