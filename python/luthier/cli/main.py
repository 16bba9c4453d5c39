"""`luthier`: the commands, and how errors become one sentence on stderr and an exit status.

Exit status: 0 done, 2 wrong usage or input, 130 interrupted, 1 anything else; 3 and 4 are what `evaluate` and `verdict`
say of a run, HOLD and RETHINK, what `gate` says of a worse one, and what `watch` says of rows that drifted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from luthier.cli import (
    baseline,
    chat,
    check,
    clean,
    demo,
    errors,
    evaluate,
    export,
    fetch,
    fit,
    gate,
    generate,
    models,
    plan,
    profile,
    report,
    serve,
    show,
    split,
    verdict,
    version,
    watch,
)

EXIT_FAILED = 1
EXIT_INPUT = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="luthier",
    help="Fits a small language model to one narrow job, on the machine at hand, and measures what it gained.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("check")(check.command)
app.command("clean")(clean.command)
app.command("split")(split.command)
app.command("fit")(fit.command)
app.command("plan")(plan.command)
app.command("profile")(profile.command)
app.command("evaluate")(evaluate.command)
app.command("baseline")(baseline.command)
app.command("verdict")(verdict.command)
app.command("errors")(errors.command)
app.command("report")(report.command)
app.command("generate")(generate.command)
app.command("gate")(gate.command)
app.command("watch")(watch.command)
app.command("serve")(serve.command)
app.command("chat")(chat.command)
app.command("export")(export.command)
app.command("show")(show.command)
app.command("models")(models.command)
app.command("fetch")(fetch.command)
app.command("demo")(demo.command)
app.command("version")(version.command)


def _print_version(wanted: bool) -> None:
    if wanted:
        version.command(json_output=False)
        raise typer.Exit


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks (also: LUTHIER_DEBUG=1).")] = False,
    version_wanted: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print versions and exit.")
    ] = False,
) -> None:
    """Options that stand before the command."""
    if debug:
        os.environ["LUTHIER_DEBUG"] = "1"


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and gives its exit status; errors are printed to stderr."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in given:  # accepted after the command too
        given.remove("--debug")
        os.environ["LUTHIER_DEBUG"] = "1"
    try:
        result = app(given, standalone_mode=False, prog_name="luthier")
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except BrokenPipeError:
        # The reader of our output is gone, as in `luthier models | head -1`; nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        if _debugging():
            raise
        return _report(error)


def main() -> None:
    """The entry point of the `luthier` script."""
    sys.exit(run())


def _report(error: Exception) -> int:
    """Prints an error for people and gives the exit status it stands for."""
    from luthier.errors import InputError, LuthierError

    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # what the argument parser raises
        _complain(_usage(error))
        return EXIT_INPUT
    if isinstance(error, InputError):
        _complain(str(error))
        return EXIT_INPUT
    if isinstance(error, LuthierError):
        _complain(str(error))
        return EXIT_FAILED
    if isinstance(error, OSError):
        _complain(f"{error.filename or 'input or output'}: {error.strerror or error}")
        return EXIT_FAILED
    if isinstance(error, MemoryError):
        _complain("out of memory; lower --micro-tokens or --max-length (luthier plan says what a fit needs)")
        return EXIT_FAILED
    _complain(
        f"internal error: {type(error).__name__}: {error}; run again with --debug to see where, and please report it"
    )
    return EXIT_FAILED


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "luthier"
    return f"{error.format_message().rstrip('.')}; see {path} --help"


def _complain(text: str) -> None:
    print(f"luthier: {text}", file=sys.stderr, flush=True)


def _debugging() -> bool:
    return os.environ.get("LUTHIER_DEBUG", "") not in ("", "0")
