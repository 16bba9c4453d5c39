"""The report in a browser: charts are drawn, filters work, no request leaves the page, nothing is wider than a phone.

Skipped where Playwright or a Chromium is missing. LUTHIER_SCREENSHOTS names a folder to keep screenshots in.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from luthier.report import write_report
from luthier.verdict import run_verdict
from luthier.verdict.files import write_verdict
from run_folder import LABELS, MadeRun, clean_check, forgetting, make_run, question

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium of the system's, or Playwright's own."""
    library = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    with library.sync_playwright() as playwright:
        path = path or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("there is no Chromium")
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeRun:
    """A run with 300 test rows, of which a fifth is wrong and some labels are."""
    test = [question(index) for index in range(1000, 1300)]
    truth = [answer for _, answer in test]
    flipped = [(asked, LABELS[0] if index % 10 == 1 else answer) for index, (asked, answer) in enumerate(test)]
    outputs = [LABELS[1] if index % 5 == 0 else answer for index, answer in enumerate(truth)]
    outputs[3] = "<b>none</b> of  these"
    outputs[4] = ""
    found = make_run(tmp_path_factory.mktemp("report"), test=flipped)
    found.baselines(found.evaluate(outputs, calibrated=True))
    found.write("check.json", clean_check(found))
    found.write("forgetting.json", forgetting())
    write_verdict(run_verdict(found.folder), found.folder)
    write_report(found.folder)
    return found


def opened(browser: Any, made: MadeRun, width: int, **options: Any) -> tuple[Any, list[str], list[str]]:
    """The page in a window of this width, the addresses that it asked for, and the errors of its script."""
    page = browser.new_page(viewport={"width": width, "height": 900}, **options)
    requests: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto((made.folder / "report.html").as_uri())
    return page, requests, errors


def test_charts_are_drawn_and_no_request_leaves_the_page(browser: Any, made: MadeRun) -> None:
    page, requests, errors = opened(browser, made, 1280)
    page.wait_for_selector("#error-list li")
    for name in ("baselines", "learning", "results"):
        box = page.locator(f"#{name} svg").first.bounding_box()
        assert box["width"] > 250 and box["height"] > 100
    assert page.locator("#baselines circle").count() == 4
    page.mouse.wheel(0, 20_000)
    assert requests == [(made.folder / "report.html").as_uri()]
    assert errors == []
    page.close()


def test_filters_work(browser: Any, made: MadeRun) -> None:
    from playwright.sync_api import expect

    page, _, errors = opened(browser, made, 1280)
    items = page.locator("#error-list > li")
    everything = items.count()
    assert everything == 20 and page.locator("#more").is_visible()
    page.click("#more")
    assert items.count() > 20
    page.select_option("#f-kind", "form")
    assert items.count() == 2
    page.select_option("#f-got", label="<b>none</b> of these")
    assert items.count() == 1 and "<b>none</b> of  these" in items.first.inner_text()
    page.select_option("#f-got", label="(empty)")
    assert items.count() == 1
    page.select_option("#f-got", "")
    assert page.locator("#error-list b").count() == 0
    page.select_option("#f-kind", "label")
    labels = items.count()
    assert 0 < labels <= 20 and not page.locator("#more").is_visible()
    page.select_option("#f-kind", "")
    page.select_option("#f-expected", "=" + LABELS[2])
    page.select_option("#f-got", "=" + LABELS[1])
    texts = items.all_inner_texts()
    assert texts and all(LABELS[2] in text and LABELS[1] in text for text in texts)
    page.select_option("#f-expected", "")
    page.select_option("#f-got", "")
    page.fill("#f-text", "number 1005 test.jsonl:6")
    expect(items).to_have_count(1)
    assert page.inner_text("#f-count").startswith("1 of ")
    page.fill("#f-text", "no such words")
    expect(items).to_have_count(0)
    assert errors == []
    page.close()


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_window(browser: Any, made: MadeRun, width: int) -> None:
    page, _, _ = opened(browser, made, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_on_a_phone_no_table_but_the_confusion_is_cut_off(browser: Any, made: MadeRun) -> None:
    page, _, _ = opened(browser, made, 390)
    cut = page.evaluate(
        """() => {
            document.querySelectorAll("details").forEach(one => one.open = true);
            return [...document.querySelectorAll(".scroll")].filter(one => !one.querySelector(".heat"))
                .filter(one => one.clientWidth == 0 || one.scrollWidth > one.clientWidth)
                .map(one => one.getAttribute("aria-label"));
        }"""
    )
    assert page.locator(".scroll").count() >= 5
    assert cut == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Any, made: MadeRun, scheme: str) -> None:
    page, _, _ = opened(browser, made, 1280, color_scheme=scheme)
    colours = page.evaluate(
        """() => {
            const style = getComputedStyle(document.documentElement);
            return ["--paper", "--ink", "--muted", "--accent"].map(name => style.getPropertyValue(name).trim());
        }"""
    )
    paper, *others = map(luminance, colours)
    for other in others:
        light, dark = max(paper, other), min(paper, other)
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, 1.4.3
    page.close()


def test_a_page_without_scripts_and_in_print_shows_errors_too(browser: Any, made: MadeRun) -> None:
    page, _, _ = opened(browser, made, 1280, java_script_enabled=False)
    assert page.locator("#error-list > li").count() == 20
    page.emulate_media(media="print")
    assert not page.locator("#filters").is_visible()
    page.close()


def test_screenshots(browser: Any, made: MadeRun) -> None:
    folder = os.environ.get("LUTHIER_SCREENSHOTS")
    if not folder:
        pytest.skip("LUTHIER_SCREENSHOTS names no folder")
    for width, scheme in ((1280, "light"), (390, "light"), (1280, "dark")):
        page, _, _ = opened(browser, made, width, color_scheme=scheme)
        page.wait_for_selector("#error-list li")
        page.screenshot(path=str(Path(folder) / f"report-{width}-{scheme}.png"), full_page=True)
        page.close()


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
