"""The files of a bench's results: written after every measurement, under their own name once the bench is complete."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Results:
    """`<name>.md` and `<name>.json` in a folder; `<name>.unfinished.*` until `finish`."""

    def __init__(self, folder: Path, name: str) -> None:
        """Creates the folder. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = name

    @property
    def unfinished(self) -> Path:
        """The page of the unfinished bench."""
        return self._paths(".unfinished")[0]

    def save(self, text: str, values: dict[str, Any]) -> list[Path]:
        """Replaces what is kept of the unfinished bench; returns the paths. Raises OSError."""
        contents = {".md": text, ".json": json.dumps(values, indent=1) + "\n"}
        for path, content in zip(paths := self._paths(".unfinished"), contents.values()):
            partial = path.with_name(path.name + ".partial")
            partial.write_text(content, encoding="utf-8")
            os.replace(partial, path)
        return paths

    def finish(self) -> list[Path]:
        """Gives what was saved last the name of the complete bench; returns the paths. Raises OSError."""
        for unfinished, path in zip(self._paths(".unfinished"), paths := self._paths("")):
            os.replace(unfinished, path)
        return paths

    def _paths(self, state: str) -> list[Path]:
        return [self._folder / f"{self._name}{state}{ending}" for ending in (".md", ".json")]
