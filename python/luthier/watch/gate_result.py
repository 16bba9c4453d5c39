"""What `luthier gate` found, as plain values, and how it prints."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

EXIT_WORSE = 3
SIGNIFICANT = 0.05
_SHOWN = 20


@dataclass(frozen=True)
class GateRow:
    """One row of a suite: the answers of the run (`new`) and of the run it is held against (`old`)."""

    file: str
    line: int
    must: bool
    expected: str
    new: str
    old: str
    new_right: bool
    old_right: bool

    @property
    def where(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, repr=False)
class Gate:
    """A run held against another on a suite. `failures` says why it does not pass; empty: it passes.

    `p` is one-sided: the chance of at least as many newly wrong rows among those that changed, were wrong and right
    equally likely (the exact form of McNemar 1947).
    """

    run: str
    against: str
    suite: str
    strict: bool
    rows: tuple[GateRow, ...]
    p: float

    @property
    def newly_wrong(self) -> tuple[GateRow, ...]:
        """Rows that the other run had right and this one has wrong."""
        return tuple(row for row in self.rows if row.old_right and not row.new_right)

    @property
    def newly_right(self) -> tuple[GateRow, ...]:
        """Rows that the other run had wrong and this one has right."""
        return tuple(row for row in self.rows if row.new_right and not row.old_right)

    @property
    def failed_musts(self) -> tuple[GateRow, ...]:
        """Rows marked `"must": true` that this run has wrong, whatever the other had."""
        return tuple(row for row in self.rows if row.must and not row.new_right)

    @property
    def right(self) -> float:
        """The share of rows that this run has right."""
        return sum(row.new_right for row in self.rows) / len(self.rows)

    @property
    def right_against(self) -> float:
        """The share of rows that the other run has right."""
        return sum(row.old_right for row in self.rows) / len(self.rows)

    @property
    def failures(self) -> list[str]:
        """Why the run does not pass, one line each."""
        failures = []
        if failed := self.failed_musts:
            failures.append(f"{_count(len(failed), 'row')} that must be right: wrong")
        if self.right < self.right_against and self.p < SIGNIFICANT:
            failures.append(
                f"{self.right:.1%} right, {self.right_against:.1%} before: {len(self.newly_wrong):,} newly wrong, "
                f"{len(self.newly_right):,} newly right (p {self.p:.3f}, below {SIGNIFICANT})"
            )
        if self.strict and self.newly_wrong:
            failures.append(f"{_count(len(self.newly_wrong), 'row')} newly wrong, and --strict allows none")
        return failures

    @property
    def passed(self) -> bool:
        """Whether nothing is worse than is allowed."""
        return not self.failures

    @property
    def status(self) -> int:
        """The exit status: 0 passed, 3 worse."""
        return 0 if self.passed else EXIT_WORSE

    def to_json(self) -> dict[str, Any]:
        """The outcome, the rows that changed or failed, and the counts, for json.dumps."""
        return {
            "passed": self.passed,
            "failures": self.failures,
            "status": self.status,
            "run": self.run,
            "against": self.against,
            "suite": self.suite,
            "strict": self.strict,
            "n": len(self.rows),
            "right": self.right,
            "right_against": self.right_against,
            "p": self.p,
            "newly_wrong": [asdict(row) for row in self.newly_wrong],
            "newly_right": [asdict(row) for row in self.newly_right],
            "failed_musts": [asdict(row) for row in self.failed_musts],
        }

    def __repr__(self) -> str:
        return f"Gate({self.run} against {self.against}: {'passed' if self.passed else '; '.join(self.failures)})"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        yield Text(f"{'PASSED' if self.passed else 'WORSE'}  {self.run} against {self.against} on {self.suite}")
        yield from (Text(f"  - {failure}") for failure in self.failures)
        yield Text(f"  right         {self.right:.1%} of {len(self.rows):,} rows, {self.right_against:.1%} before")
        changed = f"{len(self.newly_wrong):,}, {len(self.newly_right):,} (p {self.p:.3f})"
        yield Text(f"  newly wrong, right  {changed}")
        listed = list(dict.fromkeys((*self.failed_musts, *self.newly_wrong)))
        for row in listed[:_SHOWN]:
            must = "  must" if row.must else ""
            yield Text(f"  {row.where}{must}  expected {_short(row.expected)}, got {_short(row.new)}")
        if len(listed) > _SHOWN:
            yield Text(f"  ... and {len(listed) - _SHOWN:,} more; --json lists them")


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= 50 else text[:47] + "...")
