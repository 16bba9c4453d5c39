"""Labels that are likely wrong."""

from __future__ import annotations

from luthier.checks.confident_learning import suspect_labels
from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, Skipped, fine
from luthier.checks.labels import labels_of, spelling_key
from luthier.checks.texts import conversation

CODE = "suspect-label"

# Below this there is nothing to fit a model of the labels on.
FEWEST = 100


def look(context: Context) -> Finding | Skipped:
    """Rows whose label a model that was fitted without them finds unlikely, by confident learning.

    `count` is that of the rows in the confident joint; `rows` is the ranking, down to the last of these and at
    least over a tenth of all rows.
    """
    labels = labels_of(context.data)
    if labels is None:
        return Skipped(CODE, "the answers are no closed set of labels")
    if len(labels) < FEWEST:
        return Skipped(CODE, f"fewer than {FEWEST} rows are too few to predict labels from each other")
    names: dict[str, str] = {}
    own = [names.setdefault(spelling_key(label), label) for label in labels]
    found = suspect_labels([conversation(record) for record in context.data.rows], own)
    if found is None:
        return Skipped(CODE, "the inputs hold no words to predict labels from")
    count = int(found.flagged.sum())
    if not count:
        return fine(CODE, "no label looks wrong beside the others")
    # The ranking has the flagged rows in it, not before the others: a row may be unlikely without a confident rival.
    last = max(int(position) for position in found.flagged[found.order].nonzero()[0]) + 1
    listed = max(-(-len(labels) // 10), last)
    rows = []
    for index in found.order[:listed].tolist():
        mark = "" if found.flagged[index] else ", not flagged"
        note = f"{own[index]!r} has {found.confidence[index]:.0%}, most likely {found.predicted[index]!r}{mark}"
        rows.append(FindingRow(context.data.place(index), note, counted=bool(found.flagged[index])))
    message = (
        f"rows whose label looks wrong ({count / len(labels):.1%}; confident learning over TF-IDF and logistic "
        f"regression, each fifth predicted from the others). The {listed:,} least likely are listed, worst first"
    )
    return Finding(CODE, "warning", message, count, rows, context.all_rows(CODE))
