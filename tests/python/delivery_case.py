"""What tests of exports share: a model whose rows are whole blocks of every type, and what was left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny_model import TinyShape

WIDE = TinyShape(hidden=256, heads=4, key_heads=2, head_dim=64, intermediate=256, layers=2)


def named(options: dict[str, Any]) -> str:
    """The format and the numbers of an export's options, as the name of a test."""
    return " ".join(str(value) for key, value in options.items() if key != "check")


def left_in(folder: Path) -> list[str]:
    """The names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def change_json(path: Path, **changes: Any) -> None:
    """Writes a JSON object back with some keys changed."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
