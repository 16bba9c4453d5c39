"""What every file of the repository keeps to: no paths of one machine, short files, and docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tree import ROOT, name_of, tracked_files

MOST_LINES = 400
_SOURCES = (".py", ".cpp", ".h", ".cu", ".cmake", ".txt", ".md", ".toml")
_FREE = ("LICENSE", "python/luthier/_core.pyi")
# Spelt in pieces, so that this file does not hold them.
_FOREIGN = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<![\w.])/" + r"(work|root|mnt|Users)/",
        r"(?<![\w.])/" + r"home/(?!someone)\w",
        r"\b(this|previous|next) " + r"(session|issue)\b",
        r"\bissue " + r"#?\d",
        r"\bshared/" + r"design",
        r"\b(arti" + r"factory|ne" + r"xus|pypi-" + r"proxy)\b",
    )
]


def foreign(text: str) -> list[str]:
    """What in a text belongs to the machine or the work that made it, not to Luthier."""
    return [match[0] for pattern in _FOREIGN for match in pattern.finditer(text)]


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Public classes, functions and methods of a module that have no docstring."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                yield node.name
            yield from (f"{node.name}.{name}" for name in _functions(node.body))
        else:
            yield from _functions([node])


def _functions(nodes: list[ast.stmt]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            overload = any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)
            if not overload and not ast.get_docstring(node):
                yield node.name


def text_files() -> list[Path]:
    """Tracked files that hold text."""
    return [path for path in tracked_files() if b"\0" not in path.read_bytes()[:4096]]


def test_no_file_speaks_of_one_machine() -> None:
    found = [f"{name_of(path)}: {text}" for path in text_files() for text in foreign(path.read_text("utf-8"))]
    assert found == []


def test_files_are_short() -> None:
    long = {
        name_of(path): count
        for path in text_files()
        if path.suffix in _SOURCES
        and name_of(path) not in _FREE
        and (count := len(path.read_text("utf-8").splitlines())) >= MOST_LINES
    }
    assert long == {}


def test_every_public_function_and_class_has_a_docstring() -> None:
    package = ROOT / "python" / "luthier"
    found = [
        f"{name_of(path)}: {name}"
        for path in sorted(package.rglob("*.py"))
        for name in undocumented(ast.parse(path.read_text("utf-8")))
    ]
    assert found == []


def test_lines_end_as_they_should() -> None:
    for path in text_files():
        content = path.read_bytes()
        assert b"\r" not in content, f"{name_of(path)}: carriage returns"
        assert not content or content.endswith(b"\n"), f"{name_of(path)}: no newline at the end"


@pytest.mark.parametrize("text", ["see /" + "root/notes", "the issue" + " 12", "'/" + "home/me/model'"])
def test_foreign_text_is_found(text: str) -> None:
    assert foreign(text)
    assert not foreign("runs/a, ~/.cache/luthier, https://example.org/work/a, /usr/include, an issue tracker")


def test_missing_docstrings_are_found() -> None:
    code = "class A:\n    def f(self): ...\n    def _g(self): ...\ndef h():\n    'Says.'\n    def i(): ...\n"
    assert list(undocumented(ast.parse(code))) == ["A", "A.f"]
