"""`luthier plan`."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

from luthier.cli import fit
from luthier.cli.options import print_result

_NO_PART = ("test", "resume", "overwrite", "skip_memory_check")
"""Options of fit that change nothing about what a fit needs."""


def command(**options: Any) -> None:
    """Print what a fit with the same options would compute, hold in memory and take; writes nothing.

    Example: luthier plan train.jsonl --model smollm2-135m-instruct --batch-size 32

    Memory and disk are counted from the rows and the model; the time is that of a few steps measured now.
    """
    from luthier.training.run_plan import plan_run
    from luthier.training.settings_sources import merge_settings

    found = plan_run(merge_settings(fit.given_flags(options), options["assignments"] or (), options["config"]))

    def show() -> None:
        from rich.console import Console

        Console().print(found)

    print_result(found.to_json(), options["json_output"], show)


def _like_fit() -> inspect.Signature:
    """The options of fit, for the parser of the command line, which reads them off a function."""
    hints = get_type_hints(fit.command, include_extras=True)
    parameters = inspect.signature(fit.command).parameters.values()
    kept = [each.replace(annotation=hints[each.name]) for each in parameters if each.name not in _NO_PART]
    return inspect.Signature(kept, return_annotation=None)


setattr(command, "__signature__", _like_fit())  # noqa: B010 - mypy knows no such attribute of a function
command.__annotations__ = {name: each.annotation for name, each in _like_fit().parameters.items()}
