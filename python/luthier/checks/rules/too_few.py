"""Too few rows to learn from, for the number of classes, or to judge by."""

from __future__ import annotations

from luthier.checks.context import Context
from luthier.checks.finding import Finding, fine
from luthier.checks.labels import labels_of, spelling_key

CODE = "too-few"

# Of 20 rows a class, 15 % held out, 3 remain to judge the class by.
PER_CLASS = 20
# With fewer rows a fit is a few steps, and examples in the prompt do as well.
LEAST = 50
# From 100 rows an accuracy of 80 % is known to 8 points either way (1.96 sqrt(0.8 * 0.2 / 100)).
LEAST_TEST = 100


def look(context: Context) -> Finding:
    """Fewer than 20 rows a class or 50 in all to learn from, or fewer than 100 to test on."""
    total = len(context.data.rows)
    words = []
    labels = labels_of(context.data)
    classes = len({spelling_key(label) for label in labels}) if labels is not None else 0
    if total < LEAST:
        words.append(
            f"{total:,} rows to learn from; with fewer than {LEAST} a fit is a few steps, and examples in the "
            "prompt do as well"
        )
    elif total < PER_CLASS * classes:
        words.append(
            f"{total:,} rows for {classes:,} classes, {total / classes:.0f} a class; below {PER_CLASS} the tenth or so "
            "that is held out leaves two or three to judge a class by"
        )
    for file in context.held_out[:1]:
        if len(file.rows) < LEAST_TEST:
            words.append(
                f"{file.name} has {len(file.rows):,} rows; from {LEAST_TEST} an accuracy of 80 % is known to 8 points "
                "either way, from fewer to less"
            )
    if not words:
        each = f", {total / classes:,.0f} a class" if classes else ""
        return fine(CODE, f"{total:,} rows{each}")
    return Finding(CODE, "warning", "; ".join(words), total, (), "collect more rows")
