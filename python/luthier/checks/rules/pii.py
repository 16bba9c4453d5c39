"""Personal data: e-mail addresses, telephone, card and bank account numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, fine
from luthier.checks.private_data import Span, find_pii, partly_hidden

CODE = "pii"


def look(context: Context) -> Finding:
    """A warning: a model may repeat to anybody what it was trained on."""
    rows, kinds = found_rows(context, find_pii)
    if not rows:
        return fine(CODE, "no e-mail address, telephone, card or bank account number")
    shown = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())
    message = f"rows with personal data ({shown}): a model may repeat it to anybody"
    return Finding(CODE, "warning", message, len(rows), rows, context.clean("--mask", "pii"))


def found_rows(context: Context, find: Callable[[str], Sequence[Span]]) -> tuple[list[FindingRow], Counter[str]]:
    """The rows of all files in which `find` finds something, and how many rows hold each kind.

    A system message that many rows share is reported for the first of them only.
    """
    rows: list[FindingRow] = []
    kinds: Counter[str] = Counter()
    seen: set[str] = set()
    for file in context.files():
        for index, record in enumerate(file.rows):
            words: list[str] = []
            for message in record.messages:
                if message.role in ("system", "developer"):
                    if message.content in seen:
                        continue
                    seen.add(message.content)
                for span in find(message.content):
                    hidden = partly_hidden(message.content[span.start : span.end])
                    words.append(f"{span.kind} in a {message.role} message: {hidden}")
            if words:
                kinds.update({word.partition(" in a ")[0] for word in words})
                more = f" and {len(words) - 1} more" if len(words) > 1 else ""
                rows.append(FindingRow(file.place(index), words[0] + more))
    return rows, kinds
