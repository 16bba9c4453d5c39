"""metrics.jsonl, ledger.jsonl and the lines of progress, without a model."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from luthier.errors import InputError
from luthier.training.ledger_file import bad_row, ledger_lines, summarise
from luthier.training.metrics_log import MetricsLog, StepMetrics, read_metrics
from luthier.training.progress import LineProgress, Speed, duration


def metrics(step: int, tokens: int = 100, seconds: float = 0.5) -> StepMetrics:
    return {
        "step": step, "loss": 1 / step, "learning_rate": 1e-3, "grad_norm": 0.1, "rows": 4, "tokens": tokens,
        "computed_tokens": 30, "supervised_tokens": 8, "seconds": seconds, "peak_rss_bytes": 1000,
    }  # fmt: skip


def test_every_step_can_be_read_at_once(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "m.jsonl")
    log.append(metrics(1))
    assert len(read_metrics(tmp_path / "m.jsonl")) == 1
    log.append(metrics(2), valid_loss=0.5)
    log.sync()
    log.close()
    assert [line.get("valid_loss") for line in read_metrics(tmp_path / "m.jsonl")] == [None, 0.5]


def test_a_continued_log_is_cut_after_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    log = MetricsLog(path)
    for step in range(1, 6):
        log.append(metrics(step))
    log.close()
    with path.open("a") as stream:
        stream.write('{"step": 6, "lo')  # a crash in the middle of a line
    log = MetricsLog(path, keep_steps=3)
    log.append(metrics(4))
    log.close()
    assert [line["step"] for line in read_metrics(path)] == [1, 2, 3, 4]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_log_that_lacks_steps_cannot_be_continued(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    log = MetricsLog(path)
    log.append(metrics(1))
    log.append(metrics(3))
    log.close()
    with pytest.raises(InputError, match="steps are missing before step 3"):
        MetricsLog(path, keep_steps=3)
    assert len(path.read_text().splitlines()) == 2


def test_the_ledger_merges_bad_rows_in_the_order_of_the_file() -> None:
    entry = {
        "tokens": 5,
        "supervised_tokens": 2,
        "end_supervised": True,
        "tokens_cut": 1,
        "dropped": None,
        "times_seen": 2,
    }
    unused = {**entry, "dropped": "no supervised token", "times_seen": 0}
    places = [("a", 1), ("a", 4)]
    lines = ledger_lines([{"row": 0, **entry}, {"row": 1, **unused}], places, [bad_row("a", 2, "no JSON")], [3, 0])
    assert [(line["line"], line["times_seen"], line["dropped"]) for line in lines] == [
        (1, 5, None),
        (2, 0, "no JSON"),
        (4, 0, "no supervised token"),
    ]
    assert summarise(lines) == {
        "rows": 3,
        "used": 1,
        "tokens": 5,
        "supervised_tokens": 2,
        "cut": 1,
        "end_not_supervised": 0,
        "dropped": {"no JSON": 1, "no supervised token": 1},
    }


def test_lines_of_progress_are_few_and_name_loss_speed_and_time_left() -> None:
    stream = io.StringIO()
    progress = LineProgress(stream)
    progress.start(1, 1000)
    for step in range(1, 1001):
        progress.step(metrics(step), 0.25 if step == 501 else None)
    lines = stream.getvalue().splitlines()
    assert 50 <= len(lines) <= 53
    assert lines[0] == "step 1/1000  loss 1.0000  200 tokens/s  8:20 left"
    assert any(line.startswith("step 501/1000") and "valid 0.2500" in line for line in lines)
    assert lines[-1].startswith("step 1000/1000")
    assert lines[-1].endswith("0:00 left")


def test_speed_is_that_of_the_last_steps() -> None:
    speed = Speed()
    assert speed.tokens_per_second() == 0.0
    for step in range(1, 41):
        speed.add(metrics(step, tokens=100, seconds=1.0 if step <= 20 else 0.1))
    assert speed.tokens_per_second() == pytest.approx(1000)
    assert speed.seconds_left(10) == pytest.approx(1.0)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (75.2, "1:15"), (3599.9, "1:00:00"), (4000, "1:06:40")])
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text
