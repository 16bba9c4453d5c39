"""The report as one HTML text. Every value of the run passes `visible` and is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from luthier.report.parts import Parts
from luthier.report.plain import visible
from luthier.report.views import view

_TEMPLATES = Path(__file__).parent / "templates"


def page(parts: Parts) -> str:
    """The page of a run's parts."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    own = {name: Markup((_TEMPLATES / file).read_text(encoding="utf-8")) for name, file in _OWN.items()}
    # Charts and the data of the script are text of Luthier's own making, in which texts of the run are escaped already.
    return environment.get_template("report.html").render(**own, **view(parts, Markup))


_OWN = {"style": "style.css", "script": "script.js"}


def _shown(value: Any) -> Any:
    return visible(value) if type(value) is str else value
