"""Bytes that are not UTF-8, and text that was decoded wrongly before it was written."""

from __future__ import annotations

import re

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, Place, fine
from luthier.checks.texts import quoted
from luthier.records.reader import MOST_BAD

CODE = "encoding"

# UTF-8 that was read as Windows-1252: "é" becomes "Ã©", a curly quotation mark "â€œ". And the replacement character.
_WRECKED = re.compile(
    "Ã[\u0080-\u00bf‚ƒ„…†‡ˆ‰Š‹Œ‘’“”•–—˜™š›œžŸ]|Â[\u0080-\u00a9\u00ab-\u00b9\u00bb-\u00bf]|â€[\u0080-\u00bf‚ƒ„…†‡ˆ‰Š‹Œ‘’“”•–—˜™š›œžŸ]|\ufffd"
)


def look(context: Context) -> Finding:
    """An error where a file is written in another encoding; a warning for single rows and for wrecked text."""
    rows = [
        FindingRow(Place(row.file, row.line), row.reason)
        for file in context.files()
        for row in file.bad
        if row.kind == "encoding"
    ]
    foreign = [file for file in context.files() if file.encoding is not None]
    if foreign:
        file = foreign[0]
        wide = file.encoding is not None and file.encoding.startswith("utf")
        count = max(len(rows), len(file.bad) if wide else 0)
        if wide:
            rows = [FindingRow(Place(row.file, row.line), row.reason) for row in file.bad]
        beyond = len(file.bad) > MOST_BAD * file.total
        message = f"rows that are not UTF-8; {file.name} looks like {file.encoding}"
        repair = f"luthier clean {file.name} --encoding {file.encoding} --out {_converted(file.name)}"
        return Finding(CODE, "error" if beyond else "warning", message, count, rows, repair)
    for source in context.files():
        for index, record in enumerate(source.rows):
            for message_ in record.messages:
                if (found := _WRECKED.search(message_.content)) is not None:
                    around = message_.content[max(0, found.start() - 12) : found.end() + 12]
                    rows.append(FindingRow(source.place(index), f"{message_.role}: {quoted(around)}"))
                    break
    if rows:
        message = (
            "rows with text that was decoded wrongly before it was written here ('é' as 'Ã©', or the mark of a lost "
            "character)"
        )
        return Finding(CODE, "warning", message, len(rows), rows, "export the data again as UTF-8")
    mark = (
        ", with a byte order mark, which is left out" if any(file.byte_order_mark for file in context.files()) else ""
    )
    return fine(CODE, f"UTF-8{mark}")


def _converted(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}.utf8.{suffix}" if dot else f"{name}.utf8"
