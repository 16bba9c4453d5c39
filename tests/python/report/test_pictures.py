"""The charts of the report on their own."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from luthier.report import write_report
from run_folder import MadeRun, make_run, question

TRUTH = [question(index)[1] for index in range(1000, 1060)]


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    return make_run(tmp_path)


def test_a_run_has_a_picture_for_each_chart_of_its_report(made: MadeRun) -> None:
    assert list(write_report(made.folder).pictures) == ["learning"]
    made.baselines(made.evaluate(TRUTH, calibrated=True))
    report = write_report(made.folder)
    assert set(report.pictures) == {"baselines", "learning", "calibration"}
    page = report.path.read_text(encoding="utf-8")
    for name, picture in report.pictures.items():
        root = ElementTree.fromstring(picture._repr_svg_())
        assert root.tag.endswith("svg")
        assert float(root.attrib["width"]) > 100 and float(root.attrib["height"]) > 100
        drawn = picture.svg.partition("fill=")[2].partition("/>")[2]
        assert drawn and drawn in page, f"{name} is the chart of the page"
        assert repr(picture) == f"Picture('{name}')"


def test_a_picture_needs_nothing_but_itself(made: MadeRun) -> None:
    svg = write_report(made.folder).pictures["learning"].svg
    assert "var(" not in svg
    assert ".chart .valid" in svg
    assert "url(" not in svg and "@import" not in svg
    assert svg.count("http") == 1, "the name space alone"
