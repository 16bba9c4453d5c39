"""`luthier report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luthier.cli import options


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, as fit wrote it.")],
    out: Annotated[Path | None, typer.Option("--out", help="The HTML file [default: report.html in RUN]")] = None,
    results: options.Results = None,
    json_output: options.Json = False,
) -> None:
    """Write one HTML file that tells everything about a run: verdict, baselines, curves, errors, data, settings.

    Example: luthier report runs/a --out report.html

    The file needs nothing else and loads nothing. An evaluated run also gets a model card, adapter/README.md, unless
    there is one that you wrote or changed.
    """
    from luthier.report import write_report

    found = write_report(run, out, results)
    card = None if found.model_card is None else str(found.model_card)

    def show() -> None:
        print(f"wrote {found.path}")
        if card is not None:
            print(f"wrote {card}")
        for note in found.parts.notes:
            print(f"left out: {note}")

    value = {"report": str(found.path), "model_card": card, "notes": found.parts.notes}
    options.print_result(value, json_output, show)
