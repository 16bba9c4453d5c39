"""The rows that a model answers wrongly, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

Kind = Literal["answer", "form", "label"]
"""answer: the model is wrong; form: its answer is no known label or no JSON; label: the reference looks wrong."""

SHOWN = 20


@dataclass(frozen=True)
class Neighbour:
    """A training row that is like a test row, with its answer; `similarity` is the cosine of TF-IDF vectors."""

    file: str
    line: int
    answer: str
    similarity: float

    @property
    def where(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class ErrorRow:
    """A test row that was answered otherwise than its reference.

    `score` is 0 to 1 (see `Prediction`). `doubt`, from -1 to 1, is how much speaks for the answer and against the
    reference: see `luthier.report.doubt`. `agreeing` names baselines that gave the same answer. `prompt` is None where
    the test file is gone.
    """

    file: str
    line: int
    kind: Kind
    expected: str
    output: str
    score: float
    prompt: str | None = None
    doubt: float = 0.0
    agreeing: tuple[str, ...] = ()
    nearest: tuple[Neighbour, ...] = ()

    @property
    def where(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Confusion:
    """How often one answer was given where another was right, and the first places of that."""

    expected: str
    output: str
    count: int
    places: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class ErrorReport:
    """Every row of an evaluation that is wrong (for free text: not equal to its reference), the worst first: rows with
    the lowest score, and among these the rows on which least speaks for the model's answer.

    `n` is the number of rows evaluated; `notes` say what could not be found out, a sentence each.
    """

    n: int
    task: str
    test: str
    rows: tuple[ErrorRow, ...]
    confusions: tuple[Confusion, ...] = ()
    notes: list[str] = field(default_factory=list)

    def of(self, kind: Kind) -> Sequence[ErrorRow]:
        """The rows of one kind; those whose label looks wrong begin with the greatest doubt."""
        found = [row for row in self.rows if row.kind == kind]
        return sorted(found, key=lambda row: -row.doubt) if kind == "label" else found

    def to_json(self, limit: int | None = None) -> dict[str, Any]:
        """As plain values; `limit` rows at most of `rows` and of `labels`."""
        return {
            "n": self.n,
            "wrong": len(self.rows),
            "task": self.task,
            "test": self.test,
            "confusions": [asdict(one) for one in self.confusions[:limit]],
            "rows": [asdict(row) for row in self.rows[:limit]],
            "labels": [asdict(row) for row in self.of("label")[:limit]],
            "notes": self.notes,
        }

    def __repr__(self) -> str:
        labels = len(self.of("label"))
        return f"ErrorReport({len(self.rows):,} of {self.n:,} rows wrong; {labels:,} labels look wrong)"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from luthier.report.show_errors import lines

        yield from lines(self, SHOWN)

    def _repr_html_(self) -> str:
        from luthier.report.show_errors import as_html

        return as_html(self, SHOWN)
