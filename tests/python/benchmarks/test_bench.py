"""How measured processes are started, and what becomes of those that fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bench import Bench, Failed


def python(tmp_path: Path, code: str, limit: float | None = None) -> str:
    """What a Python program prints, started as the bench starts its processes."""
    return Bench(tmp_path, {"threads": 3}).run([sys.executable, "-c", code], limit)


def test_a_process_gets_the_threads_of_the_bench(tmp_path: Path) -> None:
    assert python(tmp_path, "import os; print(os.environ['OMP_NUM_THREADS'])") == "3\n"


def test_a_failure_says_how_it_ended_and_what_it_wrote_last(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="status 7") as caught:
        python(tmp_path, "import sys; print('one'); print('two', file=sys.stderr); sys.exit(7)")
    assert str(caught.value).splitlines()[-2:] == ["one", "two"]


def test_a_process_over_its_limit_is_ended(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="not done within"):
        python(tmp_path, "import time; time.sleep(3600)", limit=0.05)
