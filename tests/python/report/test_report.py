"""The report: one file, nothing from elsewhere, all text escaped, whatever parts a run has."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.errors import InputError, LuthierError
from luthier.report import write_report
from luthier.report.plain import cut, script_json, visible
from luthier.verdict import run_verdict
from luthier.verdict.files import write_verdict
from run_folder import MadeRun, clean_check, forgetting, make_run, question

VOID = {"meta", "link", "input", "br"}
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    '" onmouseover="alert(1)',
    "' & &amp; <img src=x onerror=alert(1)>",
    "bell \x07 escape \x1b[31m delete \x7f",
    "turned \u202e around \u2066",
    "{{ 7 * 7 }} {% raw %}",
    "line\u2028separator\u2029",
    "]]> <style>*{display:none}</style>",
]


class Page(HTMLParser):
    """What stands in a page: tags, links, texts by tag, and tags that were not closed in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.misplaced: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.misplaced.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def text(self) -> str:
        """All that is to be read."""
        return " ".join(" ".join(text.split()) for tag, text in self.texts if tag not in ("script", "style"))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element with this tag."""
        return [attributes for name, attributes in self.tags if name == tag]

    def ids(self) -> list[str]:
        """Every id."""
        return [found for _, attributes in self.tags if (found := attributes.get("id"))]


def whole_run(place: Path) -> MadeRun:
    """A run with everything, a third of whose answers are wrong."""
    made = make_run(place)
    truth = [question(index)[1] for index in range(1000, 1060)]
    outputs = ["files" if index % 4 == 0 else answer for index, answer in enumerate(truth)]
    made.baselines(made.evaluate(outputs, calibrated=True))
    warning = {
        "code": "conflict",
        "severity": "warning",
        "count": 2,
        "rows": [
            {"file": str(made.train), "line": 4, "note": "a, there b", "other": {"file": str(made.train), "line": 9}}
        ],
        "message": "rows that ask the same",
        "repair": "luthier clean train.jsonl --drop conflicts",
    }
    made.write("check.json", clean_check(made, warning))
    made.write("forgetting.json", forgetting())
    write_verdict(run_verdict(made.folder), made.folder)
    return made


def read(made: MadeRun) -> tuple[str, Page]:
    """The report as text and taken apart."""
    text = write_report(made.folder).path.read_text(encoding="utf-8")
    return text, Page(text)


def test_a_whole_run_has_every_part(tmp_path: Path) -> None:
    made = whole_run(tmp_path)
    _, page = read(made)
    assert page.misplaced == [] and len(page.ids()) == len(set(page.ids()))
    shown = page.text()
    outcome = run_verdict(made.folder).outcome
    for words in (
        outcome,
        "TF-IDF + logistic regression",
        "tuned minus it",
        "Each class",
        "Confusion",
        "rows of the training file 120",
        "4 tokens cut",
        "left out: empty",
        "opened 2 times by this run",
        "conflict",
        "luthier clean train.jsonl --drop conflicts",
        "Name the capital.",
        "smollm2-135m-instruct",
        "Some Processor",
        "torch 2.13.0",
        "forgetting 0.03",
    ):
        assert words in shown, words
    assert {"c-baselines-t", "c-learning-t", "c-calibration-t"} <= set(page.ids())
    assert [one["role"] for one in page.all("svg")] == ["img"] * 3
    rows = json.loads(next(text for tag, text in page.texts if tag == "script" and text.startswith("[")))
    wrong = [
        one
        for one in json.loads(f"[{','.join((made.folder / 'predictions.jsonl').read_text().splitlines())}]")
        if not one["correct"]
    ]
    assert len(rows) == len(wrong) and {row["w"] for row in rows} == {f"{one['file']}:{one['line']}" for one in wrong}
    assert rows[0]["n"][0][0].startswith(str(made.train))
    assert shown.index(outcome) < shown.index("Beside the cheapest")


def test_the_charts_show_the_figures(tmp_path: Path) -> None:
    made = whole_run(tmp_path)
    text, _ = read(made)
    chart = re.search(r'<svg[^>]*aria-labelledby="c-baselines-t.*?</svg>', text, re.DOTALL)
    assert chart is not None
    assert chart[0].count("<circle") == 4 and chart[0].count('class="dot strong"') == 1
    for value in re.findall(r'(?:cx|x1|x2|x)="([\d.-]+)"', chart[0]):
        assert 0 <= float(value) <= 360
    curves = re.search(r'<svg[^>]*aria-labelledby="c-learning-t.*?</svg>', text, re.DOTALL)
    assert curves is not None
    assert 'class="train"' in curves[0] and 'class="test"' in curves[0]
    assert curves[0].count("<circle") == 6  # one for each measured validation loss


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    text, page = read(whole_run(tmp_path))
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(name) or "#"
            assert value.startswith("#") or value == "data:,", (tag, value)
    addresses = set(re.findall(r"https?:[^\s\"'<)]+", text)) - {"http://www.w3.org/2000/svg"}
    assert addresses == set()
    assert "url(" not in text and "@import" not in text
    policy = next(one for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert str(policy["content"]).startswith("default-src 'none'")


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    rows = [(f"{HOSTILE[index % 9]} {index}", HOSTILE[index % 3]) for index in range(63)]
    made = make_run(tmp_path, rows, rows, name="run & <b>bold")
    tuned = made.evaluate([HOSTILE[(index + index % 2) % 9] for index in range(63)], task="classify")
    made.baselines(tuned, {HOSTILE[0]: [HOSTILE[4]] * 63})
    finding = {
        "code": "<i>",
        "severity": "error",
        "count": 1,
        "rows": [{"file": HOSTILE[0], "line": 1, "note": HOSTILE[3]}],
        "message": HOSTILE[2],
        "repair": HOSTILE[1],
    }
    made.write("check.json", clean_check(made, finding))
    text, page = read(made)
    assert page.misplaced == []
    assert [one for one in page.all("script") if "src" in one] == []
    assert len(page.all("script")) == 2 and len(page.all("style")) == 1
    assert (not page.all("img") and not page.all("b")[1:]) or all("onerror" not in one for _, one in page.tags)
    assert not any(name.startswith("on") and name != "onsubmit" for _, attributes in page.tags for name in attributes)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text)
    assert "49" not in re.findall(r"\{\{ (.*?) \}\}", text)
    assert "{{ 7 * 7 }}" in page.text()
    assert "alert(1)" in page.text()


@pytest.mark.parametrize(
    "missing",
    [
        ["evaluation.json"],
        ["baselines.json"],
        ["predictions.jsonl"],
        ["check.json", "forgetting.json"],
        ["metrics.jsonl", "ledger.jsonl"],
        ["evaluation.json", "baselines.json", "check.json", "forgetting.json", "metrics.jsonl", "ledger.jsonl"],
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, missing: list[str]) -> None:
    made = whole_run(tmp_path)
    for name in missing:
        (made.folder / name).unlink()
    _, page = read(made)
    assert page.misplaced == []
    assert page.all("p") and "missing" in [one.get("class") for one in page.all("p")]


@pytest.mark.parametrize(
    "name", ["evaluation.json", "baselines.json", "check.json", "forgetting.json", "metrics.jsonl", "ledger.jsonl"]
)
@pytest.mark.parametrize("content", ["", "{", "[1, 2]", '{"findings": 3}', "\x00\x01"])
def test_a_damaged_part_is_said_and_the_rest_is_shown(tmp_path: Path, name: str, content: str) -> None:
    made = whole_run(tmp_path)
    (made.folder / name).write_text(content)
    _, page = read(made)
    assert page.misplaced == []
    assert "smollm2-135m-instruct" in page.text()


def test_five_thousand_errors_fit(tmp_path: Path) -> None:
    rows = [question(index) for index in range(6000)]
    made = make_run(tmp_path, rows[:60], rows)
    made.evaluate(["none"] * 6000)
    text, page = read(made)
    assert len(text) < 10_000_000
    assert "The first 5,000 are here" in page.text()


def test_a_report_that_cannot_be_written_is_said_and_leaves_the_old_one(tmp_path: Path) -> None:
    made = whole_run(tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(LuthierError, match="cannot write"):
        write_report(made.folder, tmp_path / "file" / "report.html")
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(InputError):
        write_report(tmp_path / "nothing")


def test_a_notebook_shows_the_page_in_a_frame(tmp_path: Path) -> None:
    shown = write_report(whole_run(tmp_path).folder)._repr_html_()
    assert [tag for tag, _ in Page(shown).tags] == ["iframe"]
    assert "allow-same-origin" not in shown


@given(st.text())
def test_any_text_can_stand_in_a_script_and_in_a_file(text: str) -> None:
    shown = script_json([text])
    assert "<" not in shown and json.loads(shown) == [text]
    visible(text).encode("utf-8")
    assert visible(visible(text)) == visible(text)
    assert len(cut(text, 10)) < 60
