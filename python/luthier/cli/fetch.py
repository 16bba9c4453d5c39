"""`luthier fetch`."""

from __future__ import annotations

from typing import Annotated

import typer

from luthier.cli import options


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name from `luthier models`.")],
    json_output: options.Json = False,
) -> None:
    """Bring a known model into the cache folder, checked by its SHA-256.

    Example: luthier fetch smollm2-135m-instruct

    The cache is the folder in LUTHIER_CACHE, by default ~/.cache/luthier.
    """
    from luthier.models.fetch import fetch

    path = fetch(name)
    options.print_result({"name": name, "path": str(path)}, json_output, lambda: print(path))
