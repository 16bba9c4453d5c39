"""The options of `luthier fit`, for commands that take them too."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

from luthier.cli import fit


def fit_options(without: Sequence[str]) -> list[inspect.Parameter]:
    """The options of fit, all but those named, as keywords."""
    of_fit = inspect.signature(fit.command, eval_str=True).parameters
    keyword = inspect.Parameter.KEYWORD_ONLY
    return [parameter.replace(kind=keyword) for name, parameter in of_fit.items() if name not in without]


def declare_options(command: Callable[..., None], parameters: Sequence[inspect.Parameter]) -> None:
    """Gives a command that takes keywords these options: the command line is parsed by a function's signature."""
    vars(command)["__signature__"] = inspect.Signature(parameters)
