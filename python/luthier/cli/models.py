"""`luthier models`."""

from __future__ import annotations

from luthier.cli import options


def command(json_output: options.Json = False) -> None:
    """List the models that are known by name."""
    from luthier.models.registry import known_models

    known = known_models()

    def show() -> None:
        width = max(len(model.name) for model in known)
        for model in known:
            state = "fetched" if model.fetched else f"luthier fetch {model.name}"
            print(
                f"{model.name:<{width}}  {model.summary}, {model.license}, {model.file_bytes / 1e6:,.0f} MB  ({state})"
            )

    value = [
        {
            "name": model.name,
            "summary": model.summary,
            "license": model.license,
            "bytes": model.file_bytes,
            "sha256": model.file_sha256,
            "path": str(model.path) if model.fetched else None,
        }
        for model in known
    ]
    options.print_result(value, json_output, show)
