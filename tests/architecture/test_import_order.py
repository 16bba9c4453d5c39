"""Python: subpackages import only what stands before them, the core has one door, and `import luthier` is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tree import ROOT

PACKAGE = ROOT / "python" / "luthier"
# Each may import, when it runs, those before it. Imports for type checking alone may point anywhere.
ORDER = (
    "errors",
    "native",
    "durable",
    "formats",
    "records",
    "text",
    "export",
    "models",
    "generation",
    "delivery",
    "evaluation",
    "baselines",
    "checks",
    "splits",
    "drift",
    "training",
    "forgetting",
    "verdict",
    "report",
    "watch",
    "serve",
    "chat",
    "demo",
    "cli",
    "__main__",
)
HEAVY = (
    "torch",
    "transformers",
    "peft",
    "sklearn",
    "scipy",
    "numpy",
    "pyarrow",
    "sacrebleu",
    "jsonschema_rs",
    "huggingface_hub",
    "usearch",
    "llguidance",
    "gguf",
    "xllamacpp",
)


@dataclass(frozen=True)
class Import:
    """A module that is imported at run time. `inside`: only when a function is called; `name`: from its parent."""

    module: str
    inside: bool
    name: bool = False


def imports(tree: ast.AST, inside: bool = False) -> Iterator[Import]:
    """Every import of a module's source but those for type checking alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from (found for other in node.orelse for found in imports(other, inside))
        elif isinstance(node, ast.Import):
            yield from (Import(alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "relative imports are not used"
            if node.module == "luthier":
                yield from (Import(f"luthier.{alias.name}", inside, name=True) for alias in node.names)
            else:
                yield Import(node.module, inside)
        else:
            yield from imports(node, inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def violations(place: str, source: str) -> Iterator[str]:
    """What the imports of a module at `place` ("text/encode.py", "errors.py") break."""
    own = place.split("/")[0].removesuffix(".py")
    for found in imports(ast.parse(source)):
        first, *rest = found.module.split(".")
        if first in HEAVY and not found.inside:
            yield f"{place}: imports {first} when it is loaded; import it where it is needed"
        if first != "luthier" or own == "__init__" or not rest or rest[0] == own:
            continue
        if rest[0] == "_core":
            # `from luthier import _core` goes through luthier.native, which checks the version of torch.
            if not found.name:
                yield f"{place}: write `from luthier import _core`"
        elif ORDER.index(rest[0]) > ORDER.index(own):
            yield f"{place}: imports {found.module}, which stands after {own}"


def modules() -> list[Path]:
    """Every module of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def test_every_import_points_backwards() -> None:
    assert len(modules()) > 50
    found = [
        line for path in modules() for line in violations(path.relative_to(PACKAGE).as_posix(), path.read_text("utf-8"))
    ]
    assert found == []


def test_the_order_names_every_subpackage_and_module() -> None:
    here = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert here - {"__init__"} == set(ORDER)
    design = (ROOT / "docs" / "design" / "architecture.md").read_text(encoding="utf-8")
    assert " → ".join(f"`{name}`" for name in ORDER) in " ".join(design.split())


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("records/reader.py", "from luthier.text import Tokenizer"),
        ("text/encode.py", "def f():\n    from luthier.models.load import load"),
        ("models/load.py", "import torch"),
        ("formats.py", "from luthier._core import GgufFile"),
        ("formats.py", "import luthier._core"),
        ("errors.py", "from luthier import native"),
    ],
)
def test_a_wrong_import_is_found(place: str, line: str) -> None:
    assert len(list(violations(place, line))) == 1


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("models/load.py", "from luthier import _core"),
        ("models/load.py", "def f():\n    import torch"),
        ("text/encode.py", "if TYPE_CHECKING:\n    from luthier.models.load import load"),
        ("cli/fit.py", "from luthier.training.run import fit"),
    ],
)
def test_a_right_import_is_let_through(place: str, line: str) -> None:
    assert list(violations(place, line)) == []


@pytest.mark.parametrize(
    "statement",
    [
        "import luthier",
        "import luthier; luthier.Lora, luthier.InputError, luthier.read",
        "from luthier.cli.main import run; assert run(['--help']) == 0 and run(['fit', '--help']) == 0",
        "from luthier.cli.main import run; assert run(['models']) == 0 and run(['fit', '--sead', '1']) == 2",
    ],
)
def test_a_light_task_loads_no_heavy_library(statement: str) -> None:
    code = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); {statement}; "
    code += f"print('loaded:', *sorted(set({HEAVY!r}) & set(sys.modules)), 'luthier._core' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded: False"
