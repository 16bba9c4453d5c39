"""`luthier version`."""

from __future__ import annotations

from luthier.cli import options


def command(json_output: options.Json = False) -> None:
    """Print the versions of Luthier and of what it computes with."""
    from luthier.training.run_record import versions

    found = versions()
    options.print_result(
        found,
        json_output,
        lambda: print("  ".join(f"{name} {found[name]}" for name in ("luthier", "torch", "tokenizers", "python"))),
    )
