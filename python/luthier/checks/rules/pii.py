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
            first = ""
            count = 0
            own: set[str] = set()
            for message in record.messages:
                if message.role in ("system", "developer"):
                    if message.text in seen:
                        continue
                    seen.add(message.text)
                spans = find(message.text)
                if spans and not count:
                    hidden = partly_hidden(message.text[spans[0].start : spans[0].end])
                    first = f"{spans[0].kind} in a {message.role} message: {hidden}"
                count += len(spans)
                own.update(span.kind for span in spans)
            if count:
                kinds.update(own)
                more = f" and {count - 1:,} more" if count > 1 else ""
                rows.append(FindingRow(file.place(index), first + more))
    return rows, kinds
