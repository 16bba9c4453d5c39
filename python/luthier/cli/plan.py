"""`luthier plan`."""

from __future__ import annotations

from typing import Any

from luthier.cli import fit
from luthier.cli.fit_options import declare_options, fit_options
from luthier.cli.options import print_result

_NO_PART = ("test", "resume", "overwrite", "skip_memory_check", "no_check")
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


declare_options(command, fit_options(without=_NO_PART))
