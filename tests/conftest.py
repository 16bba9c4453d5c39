"""Random tests draw the same examples in every run, and have no time limit: no test depends on chance or the clock."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--write-compatibility` writes what the parity tests found to docs/reference/compatibility.md."""
    parser.addoption("--write-compatibility", action="store_true", help="write docs/reference/compatibility.md")


def pytest_configure(config: pytest.Config) -> None:
    """Puts the page to work where it is asked for, and Ctrl-C where a script that runs in the background took it away:
    the processes that the tests start inherit that, and would never stop."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--write-compatibility"):
        sys.path.insert(0, str(Path(__file__).parent))
        from compatibility import CompatibilityPage

        config.pluginmanager.register(CompatibilityPage(), "compatibility")
