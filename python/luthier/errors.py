"""The errors that Luthier raises. Every one of them names what is wrong, where, and what to do."""

from __future__ import annotations

__all__ = ["InputError", "LuthierError"]


class LuthierError(Exception):
    """The base of every error that Luthier raises on purpose; the command line exits with 1."""


class InputError(LuthierError):
    """Something the user gave is wrong: a file, a row, a setting. The command line exits with 2."""
