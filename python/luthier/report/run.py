"""`luthier report`: one file that tells everything about a run."""

from __future__ import annotations

import html
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.errors import LuthierError
from luthier.report.model_card import write_model_card
from luthier.report.page import page
from luthier.report.parts import Parts, parts_of
from luthier.report.pictures import Picture, pictures_of

if TYPE_CHECKING:
    from luthier.training.run import Run

REPORT_FILE = "report.html"


@dataclass(frozen=True, repr=False)
class Report:
    """A written report: its file, what could not be read, and the model card beside the adapter if it was written."""

    path: Path
    parts: Parts
    model_card: Path | None = None

    @property
    def pictures(self) -> dict[str, Picture]:
        """Its charts, each on its own, by name: baselines, learning, calibration, as far as the run has them."""
        return pictures_of(self.parts)

    def __repr__(self) -> str:
        outcome = self.parts.verdict.outcome if self.parts.verdict is not None else "no verdict yet"
        return f"Report({str(self.path)!r}: {outcome})"

    def _repr_html_(self) -> str:
        """The page itself, in a frame of its own, so that its styles stay within it."""
        source = html.escape(self.path.read_text(encoding="utf-8"), quote=True)
        return (
            f'<iframe title="Luthier report" sandbox="allow-scripts" srcdoc="{source}" '
            'style="width:100%;height:640px;border:1px solid #ccc"></iframe>'
        )


def write_report(
    run: str | PathLike[str] | Run, out: str | PathLike[str] | None = None, results: str | PathLike[str] | None = None
) -> Report:
    """Writes the report of a run as one HTML file that needs nothing else (default: report.html in its folder).

    `results` is the folder with its evaluation (default: the run's own). Whatever the run has is shown, and what is
    missing is said. The adapter's folder gets a model card where the run was evaluated; see `write_model_card`. Raises
    InputError where there is no run, LuthierError where the file cannot be written.
    """
    from luthier.durable import write_text
    from luthier.training.run import Run

    opened = run if isinstance(run, Run) else Run(run)
    path = Path(out) if out is not None else opened.folder / REPORT_FILE
    parts = parts_of(opened, None if results is None else Path(results))
    content = page(parts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, content)
    except OSError as error:
        raise LuthierError(f"[report] cannot write {path}: {error.strerror or error}") from error
    try:
        card = write_model_card(opened, parts)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        card = None
        parts.notes.append(f"the model card: a file of the run is damaged ({type(error).__name__}: {error})")
    return Report(path, parts, card)
