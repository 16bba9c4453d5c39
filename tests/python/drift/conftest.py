"""The tokenizer of a tiny model, for all tests of drift."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_model import make_tiny_tokenizer


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Made once."""
    from luthier.text.tokenizer import Tokenizer

    folder: Path = tmp_path_factory.mktemp("tokenizer")
    make_tiny_tokenizer().save_pretrained(folder)
    return Tokenizer.from_folder(folder)
