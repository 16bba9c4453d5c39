"""How an Evaluation looks at a terminal and in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.evaluation.classes import Classification

if TYPE_CHECKING:
    from rich.console import RenderableType

    from luthier.evaluation.result import Evaluation

_SHOWN_CLASSES = 40


def tables(evaluation: Evaluation) -> Iterator[RenderableType]:
    """A title, the table of figures, and that of the classes where there are some."""
    from rich.table import Table
    from rich.text import Text

    # No title of the table, which would be broken to its width.
    yield Text(f"{evaluation.called(evaluation.model)} on {evaluation.test}")
    table = Table("figure")
    table.add_column("value", justify="right")
    for name, value in evaluation.figures():
        table.add_row(Text(name), Text(value))
    yield table
    found = evaluation.block(Classification)
    if found is None:
        return
    classes = Table("answer")
    for column in ("precision", "recall", "F1", "rows"):
        classes.add_column(column, justify="right")
    for name, one in list(found.per_class.items())[:_SHOWN_CLASSES]:
        classes.add_row(Text(name), f"{one.precision:.3f}", f"{one.recall:.3f}", f"{one.f1:.3f}", str(one.support))
    yield classes


def as_html(evaluation: Evaluation) -> str:
    """The same tables in HTML."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in evaluation.figures()
    )
    title = html.escape(f"{evaluation.called(evaluation.model)} on {evaluation.test}")
    text = f"<table><caption>{title}</caption>{rows}</table>"
    found = evaluation.block(Classification)
    if found is not None:
        cells = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{one.precision:.3f}</td><td>{one.recall:.3f}</td>"
            f"<td>{one.f1:.3f}</td><td>{one.support}</td></tr>"
            for name, one in found.per_class.items()
        )
        head = "".join(f"<th>{name}</th>" for name in ("answer", "precision", "recall", "F1", "rows"))
        text += f"<table><tr>{head}</tr>{cells}</table>"
    return text
