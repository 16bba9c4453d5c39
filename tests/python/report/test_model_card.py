"""The model card beside the adapter: metadata of a hub, and never the user's own README."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from luthier.report import write_report
from luthier.report.model_card import is_own, signed
from run_folder import MadeRun, make_run, question


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    """An evaluated run."""
    found = make_run(tmp_path, name="sort: *all* the `mail`")
    found.baselines(found.evaluate([question(index)[1] for index in range(1000, 1060)]))
    return found


def matter(text: str) -> dict[str, Any]:
    """The front matter."""
    head, found = text.removeprefix("---\n").split("\n---\n", 1)
    assert found
    values: dict[str, Any] = yaml.safe_load(head)
    return values


def test_the_metadata_are_those_of_a_hub(made: MadeRun) -> None:
    card = write_report(made.folder).model_card
    assert card == made.folder / "adapter" / "README.md"
    values = matter(card.read_text(encoding="utf-8"))
    assert values["base_model"] == "smollm2-135m-instruct" and values["library_name"] == "peft"
    index = values["model-index"][0]
    assert index["name"] == "sort: *all* the `mail`"
    result = index["results"][0]
    assert result["task"]["type"] == "text-classification"
    assert result["dataset"] == {"type": "custom", "name": "test.jsonl", "split": "test"}
    assert {"type": "accuracy", "value": 1.0, "name": "accuracy"} in result["metrics"]
    assert [sorted(metric) for metric in result["metrics"]] == [["name", "type", "value"]] * 3


def test_the_card_tells_the_verdict_and_the_baselines(made: MadeRun) -> None:
    card = write_report(made.folder).model_card
    assert card is not None
    text = card.read_text(encoding="utf-8")
    assert "**HOLD**" in text or "**RETHINK**" in text
    assert "| TF-IDF + logistic regression |" in text
    assert r"# sort: \*all\* the \`mail\`" in text
    assert str(made.folder) not in text


def test_a_card_is_written_again_while_it_is_luthiers(made: MadeRun) -> None:
    card = write_report(made.folder).model_card
    assert card is not None
    first = card.read_text(encoding="utf-8")
    made.evaluate(["files"] * 60)
    assert write_report(made.folder).model_card == card
    assert card.read_text(encoding="utf-8") != first


@pytest.mark.parametrize(
    "change", [lambda text: "my own words\n", lambda text: text.replace("Luthier", "me"), lambda text: text + "\nmore"]
)
def test_what_the_user_wrote_is_never_overwritten(made: MadeRun, change: Any) -> None:
    card = write_report(made.folder).model_card
    assert card is not None
    mine = change(card.read_text(encoding="utf-8"))
    card.write_text(mine, encoding="utf-8")
    assert write_report(made.folder).model_card is None
    assert card.read_text(encoding="utf-8") == mine


def test_a_run_without_adapter_or_evaluation_gets_no_card(tmp_path: Path) -> None:
    made = make_run(tmp_path)
    assert write_report(made.folder).model_card is None
    made.evaluate(["files"] * 60)
    (made.folder / "adapter").rmdir()
    assert write_report(made.folder).model_card is None


def test_a_signed_text_is_known_again() -> None:
    assert is_own(signed("some text\n"))
    assert not is_own(signed("some text").replace("text", "test"))
    assert not is_own("") and not is_own("anything")
