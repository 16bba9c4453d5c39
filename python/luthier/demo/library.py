"""The documentation inside the Python that runs: the source of its standard library, parsed and never imported.

The demos build their rows from it, so that nothing is downloaded and nothing is shipped.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from luthier.errors import InputError

_SKIPPED_FOLDERS = {
    "__pycache__",
    "dist-packages",
    "ensurepip",
    "idle_test",
    "idlelib",
    "lib2to3",
    "site-packages",
    "test",
    "tests",
}

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file of the standard library: its dotted name ("email.message"), its path and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def top(self) -> str:
        """The name before the first dot: what the splits keep on one side."""
        return self.name.partition(".")[0]


def walk_modules(root: Path | None = None) -> Iterator[Module]:
    """The modules of the standard library in `root` (default: that of the running Python), in the order of their names.

    Files that do not parse are left out; so are tests, IDLE and what is not part of the standard library.
    Raises InputError when `root` holds no source files, as in a Python that was shipped as bytecode.
    """
    root = Path(sysconfig.get_path("stdlib")) if root is None else root
    found = False
    for name, path in sorted((_dotted_name(path.relative_to(root)), path) for path in root.rglob("*.py")):
        parts = set(path.relative_to(root).parts)
        if parts & _SKIPPED_FOLDERS or name.partition(".")[0] not in sys.stdlib_module_names:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes and the like in the library's own source
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError):
            continue
        found = True
        yield Module(name, path, tree)
    if not found:
        raise InputError(
            f"[demo] no source file of the standard library below {root}: the demo reads the documentation there; "
            "run it with a Python that ships its library as .py files"
        )


def functions(module: Module) -> Iterator[tuple[FunctionNode, bool]]:
    """The functions of a module in source order, nested ones included, each with whether it is a method that binds
    its first parameter (defined in a class body and no staticmethod)."""
    yield from _functions(module.tree, in_class=False)


def docstrings(module: Module) -> Iterator[str]:
    """The cleaned docstrings of a module, its classes and its functions, in source order."""
    for node in _definitions(module.tree):
        text = docstring(node)
        if text:
            yield text


def docstring(node: ast.Module | ast.ClassDef | FunctionNode) -> str:
    """The docstring with its indentation removed and no blank lines around it; "" if there is none or it holds
    characters that no UTF-8 file can hold."""
    text = (ast.get_docstring(node, clean=True) or "").strip()
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return ""
    return text


def _dotted_name(relative: Path) -> str:
    parts = relative.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _functions(node: ast.AST, in_class: bool) -> Iterator[tuple[FunctionNode, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            static = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in child.decorator_list)
            yield child, in_class and not static
            yield from _functions(child, in_class=False)
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, in_class=True)
        else:
            yield from _functions(child, in_class)


def _definitions(node: ast.AST) -> Iterator[ast.Module | ast.ClassDef | FunctionNode]:
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _definitions(child)
