"""What `luthier watch` found, as plain values, and how it prints."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from luthier.watch.accuracy import Accuracy
from luthier.watch.advice import STATUS, Advice
from luthier.watch.farthest import FarRow
from luthier.watch.shifts import LARGE, MODERATE, Shift

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


@dataclass(frozen=True, repr=False)
class Watch:
    """New rows beside those that a run was fitted on. `notes` say what could not be compared and why."""

    run: str
    file: str
    rows: int
    reference_rows: int
    advice: Advice
    reasons: tuple[str, ...]
    shifts: tuple[Shift, ...]
    accuracy: Accuracy | None
    farthest: tuple[FarRow, ...]
    notes: tuple[str, ...]

    @property
    def status(self) -> int:
        """The exit status: 0 keep, 3 look, 4 retrain."""
        return STATUS[self.advice]

    def to_json(self) -> dict[str, Any]:
        """Everything, for json.dumps; each shift with its size."""
        values = asdict(self)
        for found, shift in zip(values["shifts"], self.shifts, strict=True):
            found["size"] = shift.size
        if self.accuracy is not None:
            values["accuracy"] |= {"share": self.accuracy.share, "fell": self.accuracy.fell}
        return {**values, "status": self.status}

    def lines(self) -> list[tuple[str, ...]]:
        """The comparisons as text: kind, what, reference, new rows, PSI, PSI by chance, p, size."""
        return [
            (
                shift.kind,
                shift.name,
                shift.reference,
                shift.new,
                f"{shift.psi:.3f}",
                f"{shift.psi_by_chance:.3f}",
                "<0.001" if shift.p < 0.001 else f"{shift.p:.3f}",
                "" if shift.size == "none" else shift.size,
            )
            for shift in self.shifts
        ]

    def __repr__(self) -> str:
        return f"Watch({self.file} against {self.run}: {self.advice}; {'; '.join(self.reasons)})"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        yield Text(
            f"{self.advice.upper()}  {self.file}: {self.rows:,} rows against {self.reference_rows:,} of {self.run}"
        )
        yield from (Text(f"  - {reason}") for reason in self.reasons)
        if self.accuracy is not None:
            yield Text(f"accuracy: {self.accuracy}")
        yield from (Text(line) for line in self._table())
        yield Text(f"A shift needs p < 0.05 (Holm) and PSI beyond chance: {MODERATE} moderate, {LARGE} large.")
        if self.farthest:
            yield Text("farthest from the training rows:")
        for row in self.farthest:
            near = f", nearest {row.nearest_file}:{row.nearest_line}" if row.nearest_line is not None else ""
            yield Text(f"  {row.file}:{row.line}  distance {row.distance:.2f}{near}")
        yield from (Text(f"note: {note}") for note in self.notes)

    def _table(self) -> list[str]:
        """The comparisons for people, aligned: of each kind that with the largest shift; --json has all."""
        worst = {shift.kind: shift for shift in sorted(self.shifts, key=lambda shift: shift.psi - shift.psi_by_chance)}
        lines = []
        for kind in dict.fromkeys(shift.kind for shift in self.shifts):
            shift, count = worst[kind], sum(other.kind == kind for other in self.shifts)
            p = "<0.001" if shift.p < 0.001 else f"{shift.p:.3f}"
            name = shift.name if count == 1 else f"{shift.name} (1 of {count})"
            figures = f"PSI {shift.psi:6.3f} (by chance {shift.psi_by_chance:.3f})  p {p:<6}  {shift.size:<8}"
            lines.append(f"  {kind:<10} {name:<33} {figures}  {shift.reference} -> {shift.new}")
        return lines

    def _repr_html_(self) -> str:
        import html

        cells = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in self.lines()
        )
        reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in self.reasons)
        title = html.escape(f"{self.advice.upper()}: {self.file} against {self.run}")
        return f"<p><b>{title}</b></p><ul>{reasons}</ul><table>{cells}</table>"
