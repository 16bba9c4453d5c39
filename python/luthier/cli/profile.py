"""`luthier profile`."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from luthier.cli import fit, options

_STEPS = Annotated[
    int, typer.Option("--steps", min=1, help="Measured steps [default: 3]", metavar="N", show_default=False)
]
_WARM_UP = Annotated[
    int,
    typer.Option(
        "--warm-up", min=0, help="Steps before the measured ones [default: 2]", metavar="N", show_default=False
    ),
]
# What of `luthier fit` changes no step.
_USELESS = (
    "out valid test epochs schedule warmup save_every valid_every resume overwrite steps config assignments json_output"
).split()


def command(**given: Any) -> None:
    """Make a few optimiser steps in memory, and print where their time goes.

    Example: luthier profile train.jsonl --model smollm2-135m-instruct

    Prints for each operation calls, time and share of a step, achieved rates, and their share of the machine's roof: a
    matrix product of 2048 x 2048 x 2048 and a large copy, measured between the steps. Takes fit's options; writes
    nothing.
    """
    from luthier.training.profile import profile_fit
    from luthier.training.settings_sources import merge_settings

    steps, warm_up, as_json = given.pop("steps"), given.pop("warm_up"), given.pop("json_output")
    config, assignments = given.pop("config"), given.pop("assignments") or ()
    flags = {key: value if isinstance(value, bool) else str(value) for key, value in given.items() if value is not None}
    profile = profile_fit(merge_settings(flags, assignments, config), steps=steps, warm_up=warm_up)

    def show() -> None:
        from rich.console import Console

        Console().print(profile)

    options.print_result(profile.to_json(), as_json, show)


def _signature() -> inspect.Signature:
    """The options of fit that change a step, and those of the measurement."""
    of_fit = inspect.signature(fit.command, eval_str=True).parameters
    keyword = inspect.Parameter.KEYWORD_ONLY
    kept = [parameter for name, parameter in of_fit.items() if name not in _USELESS]
    own = [
        inspect.Parameter("steps", keyword, default=3, annotation=_STEPS),
        inspect.Parameter("warm_up", keyword, default=2, annotation=_WARM_UP),
    ]
    last = [of_fit[name] for name in ("config", "assignments", "json_output")]
    return inspect.Signature([item.replace(kind=keyword) for item in (*kept, *own, *last)])


command.__signature__ = _signature()  # type: ignore[attr-defined]
