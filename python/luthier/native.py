"""Loads the extension module, after checking that it fits the torch that is installed."""

from __future__ import annotations

from importlib import import_module, metadata
from types import ModuleType

from luthier.errors import LuthierError

TORCH_VERSION = "2.13.0"
"""The release whose C++ interface the extension was built against; another one would crash it."""


def package_version(name: str) -> str:
    """The version of an installed package, "not installed" where it is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def load_core() -> ModuleType:
    """`luthier._core`. Raises LuthierError, before anything is loaded, when torch is missing or of another version."""
    try:
        found = metadata.version("torch")
    except metadata.PackageNotFoundError:
        raise LuthierError(
            f"torch is not installed, and Luthier needs torch {TORCH_VERSION}: pip install torch=={TORCH_VERSION}"
        ) from None
    if found.split("+")[0] != TORCH_VERSION:
        raise LuthierError(
            f"torch {found} is installed, and this build of Luthier needs torch {TORCH_VERSION}:"
            f" pip install torch=={TORCH_VERSION}"
        )
    import_module("torch")  # its libraries are what the extension links to
    return import_module("luthier._core")
