"""A report for the terminal: marks, counts, reasons, rows by file:line, repairs, a tally. Readable without colour."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luthier.checks.finding import Finding, FindingRow
    from luthier.checks.report import CheckReport

__all__ = ["report_lines", "short_lines"]

_MARKS = {"fine": "✔", "warning": "⚠", "error": "✘", "skipped": "-"}
_PLAIN_MARKS = {"fine": "+", "warning": "!", "error": "x", "skipped": "-"}
_WIDTH = 110
_INDENT = " " * 4
SHOWN = 3


def report_lines(report: CheckReport, shown: int = SHOWN, plain: bool | None = None) -> Iterator[str]:
    """The lines of the whole report. `shown` rows of each finding, 0 for all; `plain` marks for a terminal that has
    only ASCII (default: as stdout can)."""
    marks = _marks(plain)
    width = max((len(name) for name, _ in report.facts), default=0)
    for name, value in report.facts:
        yield from _wrapped(f"{name:<{width}}  ", value)
    if report.facts:
        yield ""
    for finding in report.findings:
        yield from _finding_lines(report, finding, shown, marks)
    reasons: dict[str, list[str]] = {}
    for skipped in report.skipped:
        reasons.setdefault(skipped.reason, []).append(skipped.code)
    for reason, codes in reasons.items():
        yield from _wrapped(f"{marks['skipped']} ", f"{', '.join(codes)}: not looked at; {reason}")
    yield ""
    left_out = f", {len(report.skipped)} not looked at" if report.skipped else ""
    yield f"{report.tally}{left_out}"


def short_lines(report: CheckReport, plain: bool | None = None) -> Iterator[str]:
    """What a fit prints before it starts: the tally, and a line for each warning and error."""
    marks = _marks(plain)
    left_out = [skipped.code for skipped in report.skipped if skipped.reason.startswith("left out")]
    yield f"check of {report.name}: {report.tally}{'; left out: ' + ', '.join(left_out) if left_out else ''}"
    for finding in report.of("error", "warning"):
        where = f" ({finding.rows[0].place}{', ...' if len(finding.rows) > 1 else ''})" if finding.rows else ""
        count = f" {finding.count:,}" if finding.rows else ""
        yield f"  {marks[finding.severity]} {finding.code}{count}: {_first_clause(finding.message)}{where}"


def _finding_lines(report: CheckReport, finding: Finding, shown: int, marks: dict[str, str]) -> Iterator[str]:
    mark = marks[finding.severity]
    if finding.severity == "fine":
        yield from _wrapped(f"{mark} ", f"{finding.code}: {finding.message}")
        return
    # What is true of the file as a whole, such as too few rows, says its own number.
    count = f"{finding.count:,} " if finding.rows else ""
    yield from _wrapped(f"{mark} ", f"{finding.code}: {count}{finding.message}")
    rows = finding.rows if shown == 0 else finding.rows[:shown]
    places = [f"{row.place}{_beside(row)}" for row in rows]
    width = min(max((len(place) for place in places), default=0), 60)
    for row, place in zip(rows, places):
        yield f"{_INDENT}{place:<{width}}  {_printable(row.note)}".rstrip()
    if len(finding.rows) > len(rows):
        yield f"{_INDENT}and {len(finding.rows) - len(rows):,} more: {report.see_all.get(finding.code, '--rows 0')}"
    if finding.repair and finding.repair != report.see_all.get(finding.code):
        yield f"{_INDENT}-> {finding.repair}"


def _printable(text: str) -> str:
    """The text without what a terminal would obey: notes quote the user's rows."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def _beside(row: FindingRow) -> str:
    """The partner row: its line where it stands in the same file."""
    if row.other is None:
        return ""
    return f" ~ {row.other.line}" if row.other.file == row.place.file else f" ~ {row.other}"


def _wrapped(head: str, text: str) -> Iterator[str]:
    """The text behind its head, further lines indented as far."""
    lines = textwrap.wrap(text, _WIDTH - len(head), break_long_words=False, break_on_hyphens=False) or [""]
    yield head + lines[0]
    for line in lines[1:]:
        yield " " * len(head) + line


def _first_clause(message: str) -> str:
    """The message up to where its reason begins."""
    for end in (" (", ": ", "; "):
        head, found, _ = message.partition(end)
        if found and len(head) > 12:
            message = head
    return message


def _marks(plain: bool | None) -> dict[str, str]:
    if plain is None:
        encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
        plain = not encoding.startswith("utf")
    return _PLAIN_MARKS if plain else _MARKS
