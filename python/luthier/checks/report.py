"""The result of `check`: findings, facts about the file, and how they are shown."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from luthier.checks.finding import Finding, Severity, Skipped

__all__ = ["CheckReport"]

_COLOURS = {"fine": "#2e7d32", "warning": "#b26a00", "error": "#c62828"}
_MARKS = {"fine": "✔", "warning": "⚠", "error": "✘"}


@dataclass(frozen=True, repr=False)
class CheckReport:
    """What the checks found in `name`, a file of `rows` rows.

    `facts` are (name, value) pairs about the file; `skipped` are the checks that did not look; `see_all` holds the
    command that lists every row of a finding, by code.
    """

    name: str
    rows: int
    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    see_all: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, code: str) -> Finding:
        """The finding with this code. Raises KeyError where the check did not look."""
        for finding in self.findings:
            if finding.code == code:
                return finding
        raise KeyError(code)

    def __contains__(self, code: object) -> bool:
        return any(finding.code == code for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def of(self, *severities: Severity) -> Sequence[Finding]:
        """The findings of these severities, in order."""
        return [finding for finding in self.findings if finding.severity in severities]

    @property
    def errors(self) -> Sequence[Finding]:
        """The findings that are errors."""
        return self.of("error")

    @property
    def warnings(self) -> Sequence[Finding]:
        """The findings that are warnings."""
        return self.of("warning")

    @property
    def tally(self) -> str:
        """`11 fine, 3 warnings, 1 error`."""
        fine, warnings, errors = (len(self.of(severity)) for severity in ("fine", "warning", "error"))
        return f"{fine} fine, {_plural(warnings, 'warning')}, {_plural(errors, 'error')}"

    def to_json(self) -> dict[str, Any]:
        """{"rows": n, "findings": [...]}, as `luthier check --json` prints it, without the checks that did not look."""
        return {"rows": self.rows, "findings": [finding.to_json() for finding in self.findings]}

    def counts(self) -> dict[str, dict[str, Any]]:
        """Severity and count of each finding that is not fine, by code: for run.json."""
        return {f.code: {"severity": f.severity, "count": f.count} for f in self.of("warning", "error")}

    def __str__(self) -> str:
        from luthier.checks.show import report_lines

        return "\n".join(report_lines(self))

    def __repr__(self) -> str:
        found = ", ".join(f"{f.code} {f.count:,}" for f in self.of("error", "warning"))
        return f"CheckReport({self.name!r}: {self.rows:,} rows; {self.tally}{'; ' + found if found else ''})"

    def _repr_html_(self) -> str:
        rows = []
        for finding in self.findings:
            mark = f"<td style='color:{_COLOURS[finding.severity]}'>{_MARKS[finding.severity]}</td>"
            count = f"{finding.count:,}" if finding.severity != "fine" else ""
            places = "<br>".join(_escaped(row.place, row.note, row.other) for row in finding.rows[:3])
            repair = f"<br><code>{html.escape(finding.repair)}</code>" if finding.repair else ""
            rows.append(
                f"<tr>{mark}<td style='text-align:left'>{finding.code}</td><td>{count}</td>"
                f"<td style='text-align:left'>{html.escape(finding.message)}{'<br>' if places else ''}"
                f"<small>{places}{repair}</small></td></tr>"
            )
        caption = f"{html.escape(self.name)}: {self.rows:,} rows; {self.tally}"
        return f"<table><caption>{caption}</caption>{''.join(rows)}</table>"

    def json_text(self) -> str:
        """`to_json` as text, with a line for each finding."""
        parts = ",\n  ".join(json.dumps(finding.to_json(), ensure_ascii=False) for finding in self.findings)
        return f'{{"rows": {self.rows}, "findings": [\n  {parts}\n]}}'


def _escaped(place: object, note: str, other: object) -> str:
    beside = f" ↔ {other}" if other is not None else ""
    return html.escape(f"{place}{beside} {note}")


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
