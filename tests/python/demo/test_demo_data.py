"""The rows of the demos: from this Python's own library, and from a small library written here."""

from __future__ import annotations

import ast
import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from luthier.demo import RECIPES
from luthier.demo.functions import MAX_DOCUMENTATION, MOST_PER_MODULE, SCHEMA, SYSTEM, cut, function_rows
from luthier.demo.library import Module, functions, walk_modules
from luthier.demo.sort import AREAS, area_of, sort_rows
from luthier.errors import InputError
from luthier.records import read
from luthier.splits import split


def rows_of(source: str) -> list[tuple[str, dict[str, object]]]:
    """(prompt, answer) of the functions in one module's source."""
    module = Module("sample", Path("sample.py"), ast.parse(source))
    rows = [row["messages"] for row in function_rows([module])]
    return [(messages[1]["content"], json.loads(messages[2]["content"])) for messages in rows]


@pytest.fixture(scope="module")
def library() -> list[Module]:
    return list(walk_modules())


@pytest.fixture(scope="module")
def rows(library: list[Module]) -> list[dict[str, Any]]:
    return function_rows(library)


def test_a_function_becomes_its_signature_and_its_object() -> None:
    source = '''
def area(width, /, height: float = 1.5, *rest, unit="cm", scale, **more) -> float:
    """Multiply the sides.

    More about it.
    """
'''
    assert rows_of(source) == [
        (
            "def area(width, /, height=1.5, *rest, unit='cm', scale, **more):\nMultiply the sides.\n\nMore about it.",
            {
                "name": "area",
                "summary": "Multiply the sides.",
                "parameters": [
                    {"name": "width", "default": None},
                    {"name": "height", "default": "1.5"},
                    {"name": "*rest", "default": None},
                    {"name": "unit", "default": "'cm'"},
                    {"name": "scale", "default": None},
                    {"name": "**more", "default": None},
                ],
                "required": 2,
            },
        )
    ]


def test_methods_lose_self_and_static_methods_do_not() -> None:
    source = '''
class Box:
    def put(self, thing, *, key=None):
        """Put a thing in."""
    @classmethod
    def make(cls, size):
        """Make a box."""
    @staticmethod
    def weigh(box):
        """Weigh a box."""
    async def wait(self, /, seconds):
        """Wait for it."""
    def empty(self):
        """No parameter is left."""
'''
    assert [prompt.splitlines()[0] for prompt, _ in rows_of(source)] == [
        "def put(thing, *, key=None):",
        "def make(size):",
        "def weigh(box):",
        "async def wait(seconds):",
    ]


def test_functions_without_a_summary_line_or_with_too_many_parameters_are_left_out() -> None:
    source = '''
def a(x): pass
def b(x):
    """A first line that
    goes on."""
def c(p, q, r, s, t, u, v):
    """Seven parameters."""
def d(x):
    """Kept."""
def d(x):
    """Kept."""
'''
    assert [answer["name"] for _, answer in rows_of(source)] == ["d"]


def test_every_answer_keeps_the_schema_and_copies_from_the_prompt(rows: list[dict[str, Any]]) -> None:
    validator = jsonschema_rs.validator_for(SCHEMA)
    for row in rows:
        system, user, assistant = (message["content"] for message in row["messages"])
        answer = json.loads(assistant)
        validator.validate(answer)
        assert system == SYSTEM
        assert list(answer) == ["name", "summary", "parameters", "required"]
        assert json.dumps(answer, ensure_ascii=False, separators=(",", ":")) == assistant
        signature, documentation = user.split("\n", 1)
        assert documentation.startswith(answer["summary"])
        assert 1 <= len(answer["parameters"]) <= 6
        for parameter in answer["parameters"]:
            assert parameter["name"] in signature
            assert parameter["default"] is None or f"{parameter['name']}={parameter['default']}" in signature
        assert answer["required"] <= len(answer["parameters"])
        assert len(documentation) <= MAX_DOCUMENTATION


def test_no_module_has_more_than_its_share(rows: list[dict[str, Any]], library: list[Module]) -> None:
    counts = Counter(row["module"] for row in rows)
    assert max(counts.values()) == MOST_PER_MODULE
    assert len(counts) > 100
    assert 1300 <= len(rows) <= 1800
    everything = function_rows(library, most_per_module=None)
    assert 2800 <= len(everything) <= 4000
    whole = Counter(row["module"] for row in everything)
    assert {module: min(count, MOST_PER_MODULE) for module, count in whole.items()} == counts
    assert [row for row in everything if row in rows] == rows, "in the order of the library"


def test_no_prompt_occurs_twice(rows: list[dict[str, Any]]) -> None:
    assert max(Counter(row["messages"][1]["content"] for row in rows).values()) == 1


def test_the_rows_are_the_same_every_time(rows: list[dict[str, Any]], library: list[Module]) -> None:
    assert function_rows() == rows
    assert sort_rows(library, most=100) == sort_rows(library, most=100)


def test_the_written_rows_are_read_as_training_rows_and_split_by_module(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    records = read(path)
    assert len(records) == len(rows)
    assert not records.bad
    assert records[0].reference == rows[0]["messages"][2]["content"]
    recipe = RECIPES["functions"]
    found = split(path, tmp_path, test=recipe.test, valid=recipe.valid, group=recipe.group)
    assert found.notes == []
    modules = Counter(json.loads(line)["module"] for line in found.test.open())
    assert len(modules) >= 8, "the held-out rows should come from many modules"
    assert max(modules.values()) <= MOST_PER_MODULE
    assert found.counts["test"] >= 100


def test_sorting_rows_name_an_area_each_once(library: list[Module]) -> None:
    rows = sort_rows(library)
    texts = Counter(row["messages"][1]["content"] for row in rows)
    areas = Counter(row["messages"][2]["content"] for row in rows)
    assert max(texts.values()) == 1
    assert set(areas) == set(AREAS)
    assert min(areas.values()) >= 50
    assert 4500 <= len(rows) <= 7000
    for area in AREAS:
        assert f"- {area}: " in rows[0]["messages"][0]["content"]
    few = sort_rows(library, most=500)
    assert len(few) == 500
    assert [row for row in rows if row in few] == few, "in the order of the library"


def test_no_module_is_in_two_areas() -> None:
    modules = [module for names in AREAS.values() for module in names.split()]
    assert max(Counter(modules).values()) == 1
    assert area_of("pathlib") == "files"
    assert area_of("antigravity") is None


def test_a_text_of_two_areas_is_left_out() -> None:
    documented = ast.parse('"""The same documentation stands in two places of the library."""')
    modules = [Module("email.message", Path("a"), documented), Module("json", Path("b"), documented)]
    assert sort_rows(modules) == []
    assert len(sort_rows(modules[:1])) == 1


def test_files_that_do_not_parse_and_tests_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text('"""Fine."""')
    (tmp_path / "re.py").write_text("def broken(:")
    (tmp_path / "os.py").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "no_library.py").write_text("")
    (tmp_path / "email" / "test").mkdir(parents=True)
    (tmp_path / "email" / "test" / "message.py").write_text("")
    (tmp_path / "email" / "__init__.py").write_text("")
    assert [module.name for module in walk_modules(tmp_path)] == ["email", "json"]


def test_a_library_without_sources_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no source file"):
        list(walk_modules(tmp_path))


def test_nested_functions_are_no_methods() -> None:
    tree = ast.parse("class A:\n    def f(self):\n        def g(x): pass\n    if True:\n        def h(self): pass")
    found = {node.name: bound for node, bound in functions(Module("a", Path("a"), tree))}
    assert found == {"f": True, "g": False, "h": True}


def test_text_is_cut_at_the_best_boundary() -> None:
    assert cut("short", 10) == "short"
    assert cut("one two three\n\nfour five", 20) == "one two three"
    assert cut("one two three four", 15) == "one two three"
    assert cut("x" * 30, 10) == "x" * 10
    assert len(cut("word " * 100, 77)) <= 77
