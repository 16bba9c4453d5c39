"""`luthier chat`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli import options

if TYPE_CHECKING:
    from luthier.models.model import Model


def command(
    run: options.RunArgument = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show the answers of the untuned and the tuned model side by side.")
    ] = False,
    model: options.ModelOption = None,
    adapter: options.AdapterFolder = None,
    system: options.SystemFile = None,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", min=1, help="Longest answer in tokens.")] = 512,
    temperature: Annotated[float, typer.Option("--temperature", min=0.0, help="0 is greedy.")] = 0.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the sampling.")] = 0,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
) -> None:
    """Talk with a model.

    Example: luthier chat runs/a --compare

    A line is a message; /reset forgets what was said, /quit or Ctrl-D ends, Ctrl-C stops an answer. Lines from a pipe
    are answered one by one.
    """
    from luthier.chat import Conversation, Terminal, talk

    options.check_choice(run, model, adapter)
    given: dict[str, Any] = {"max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed}
    given["system"] = options.system_message(run, system)
    options.set_threads(threads)
    with ExitStack() as stack:
        conversations = [
            stack.enter_context(Conversation(loaded, name, **given))
            for name, loaded in _models(run, model, adapter, dtype, compare)
        ]
        talk(conversations, Terminal.standard())


def _models(
    run: Path | None, model: str | None, adapter: Path | None, dtype: str | None, compare: bool
) -> list[tuple[str, Model]]:
    """The models to talk with and their names, the untuned one first. Raises InputError."""
    from luthier.errors import InputError

    if run is not None:
        opened = options.open_run(run, dtype)
        tuned = opened.model()
        base, kind = str(opened.settings["model"]), dtype or str(opened.settings["dtype"])
        name = run.resolve().name
    else:
        if compare and adapter is None:
            raise InputError("--compare needs two models: give a run, or --model with --adapter")
        tuned = options.load_model(str(model), adapter, dtype)
        base, kind = str(model), dtype or "bfloat16"
        name = str(model) if adapter is None else adapter.resolve().name
    if not compare:
        return [(name, tuned)]
    return [("untuned", options.load_model(base, None, kind)), (name, tuned)]
