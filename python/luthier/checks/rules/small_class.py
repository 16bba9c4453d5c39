"""Classes with too few rows."""

from __future__ import annotations

from collections import Counter

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, Skipped, fine
from luthier.checks.labels import labels_of, spelling_key

CODE = "small-class"

# With 10 rows and a recall of 80 % the 95 % interval (Wilson) reaches from 49 % to 94 %.
FEWEST = 10


def look(context: Context) -> Finding | Skipped:
    """Classes of fewer than 10 rows, in each file, and classes of a held-out file that training does not have."""
    labels = labels_of(context.data)
    if labels is None:
        return Skipped(CODE, "the answers are no closed set of labels")
    rows: list[FindingRow] = []
    words: list[str] = []
    known = {spelling_key(label) for label in labels}
    for file in context.files():
        own = [spelling_key(record.reference) if record.reference else "" for record in file.rows]
        counts = Counter(label for label in own if label)
        small = {label: count for label, count in counts.items() if count < FEWEST}
        absent = set() if file is context.data else {label for label in counts if label not in known}
        if small:
            shown = ", ".join(
                f"{label!r} {count}" for label, count in sorted(small.items(), key=lambda item: item[1])[:5]
            )
            words.append(
                f"{file.name}: {len(small):,} of {len(counts):,} classes ({shown}{', ...' if len(small) > 5 else ''})"
            )
        for index, label in enumerate(own):
            if label in absent:
                rows.append(FindingRow(file.place(index), f"class {label!r} has no row in {context.data.name}"))
            elif label in small:
                rows.append(FindingRow(file.place(index), f"class {label!r}: {small[label]} rows"))
    if not rows:
        counts = Counter(spelling_key(label) for label in labels)
        least, most = min(counts.values()), max(counts.values())
        return fine(CODE, f"{len(counts):,} classes of {least:,} to {most:,} rows")
    where = "; ".join(words) or "classes without training rows"
    message = (
        f"rows of classes with fewer than {FEWEST} rows or none to learn from; {where}. With 10 rows and a recall of "
        "80 % its 95 % interval reaches from 49 % to 94 %: nothing can be judged"
    )
    return Finding(
        CODE, "warning", message, len(rows), rows, "collect more rows of these classes, or merge the classes"
    )
