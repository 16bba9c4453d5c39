"""`luthier profile`."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from luthier.cli import fit, options
from luthier.cli.fit_options import declare_options, fit_options

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
_USELESS = ("out valid test epochs schedule warmup save_every valid_every resume overwrite steps seeds").split()


def command(**given: Any) -> None:
    """Make a few optimiser steps in memory, and print where their time goes.

    Example: luthier profile train.jsonl --model smollm2-135m-instruct

    Prints for each operation calls, time and share of a step, achieved rates, and their share of the machine's roof: a
    matrix product of 2048 x 2048 x 2048 and a large copy, measured between the steps. Takes fit's options; writes
    nothing.
    """
    from luthier.training.profile import profile_fit
    from luthier.training.settings_sources import merge_settings

    steps, warm_up = given.pop("steps"), given.pop("warm_up")  # of the measurement, not fit's
    flags = merge_settings(fit.given_flags(given), given["assignments"] or (), given["config"])
    profile = profile_fit(flags, steps=steps, warm_up=warm_up)

    def show() -> None:
        from rich.console import Console

        Console().print(profile)

    options.print_result(profile.to_json(), given["json_output"], show)


def _own_options() -> list[inspect.Parameter]:
    keyword = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter("steps", keyword, default=3, annotation=_STEPS),
        inspect.Parameter("warm_up", keyword, default=2, annotation=_WARM_UP),
    ]


declare_options(command, [*fit_options(without=_USELESS), *_own_options()])
