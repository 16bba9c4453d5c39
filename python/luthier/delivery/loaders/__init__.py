"""Other programs' loaders, tried on an export: one file for each, with what it needs and what it must show."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from luthier.delivery.formats import Choice
from luthier.delivery.loader_result import LoaderResult
from luthier.errors import InputError
from luthier.models.locate import ModelSource

if TYPE_CHECKING:
    from luthier.delivery.replay import Reference

_HOMES: Final = {
    "transformers": "luthier.delivery.loaders.with_transformers",
    "peft": "luthier.delivery.loaders.with_peft",
    "llama.cpp": "luthier.delivery.loaders.with_llama_cpp",
    "vllm": "luthier.delivery.loaders.with_vllm",
}
"""Each has `check(reference, folder, choice, source) -> LoaderResult`."""
_NEEDS: Final = {"transformers": ("transformers",), "peft": ("transformers", "peft")}


def check_installed(checks: tuple[str, ...]) -> None:
    """Raises InputError where a loader that is to be tried is not installed."""
    for check in checks:
        missing = [package for package in _NEEDS.get(check, ()) if find_spec(package) is None]
        if missing:
            raise InputError(
                f"[export] --check {check} loads the files with {' and '.join(missing)}, which is not installed: "
                f"pip install {' '.join(missing)}"
            )


def try_loader(loader: str, reference: Reference, folder: Path, choice: Choice, source: ModelSource) -> LoaderResult:
    """What a loader makes of the files in `folder`. One that fails to load them has that as its fault."""
    try:
        found: LoaderResult = import_module(_HOMES[loader]).check(reference, folder, choice, source)
    except InputError:
        raise
    except Exception as error:  # whatever another library raises says that it cannot load the files
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return LoaderResult(loader, None, "failed", (f"it cannot load the files: {said}",))
    return found
