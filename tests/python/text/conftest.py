"""Where the tests of this folder find the real model's tokenizer and the shared rows."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(Path(__file__).parent))  # for `chats`


@pytest.fixture(scope="session")
def gguf_file() -> Path:
    """SmolLM2's GGUF file in the cache folder."""
    cache = Path(os.environ.get("LUTHIER_CACHE", "~/.cache/luthier")).expanduser()
    path = next(iter(sorted(cache.rglob("SmolLM2-135M-Instruct*.gguf"))), None)
    if path is None:
        pytest.skip(f"no SmolLM2 GGUF file under {cache} (LUTHIER_CACHE)")
    return path


@pytest.fixture(scope="session")
def gguf_metadata(gguf_file: Path) -> dict[str, Any]:
    """The tokenizer keys of that file, read by the gguf package."""
    gguf = pytest.importorskip("gguf")
    fields = gguf.GGUFReader(gguf_file).fields
    return {key: field.contents() for key, field in fields.items() if key.startswith("tokenizer.")}


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of shared example data next to the repository."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"{path} is not there")
    return path
