"""`--replay`: general rows among those of the job, evenly, repeatably and accounted for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fit_case import FitCase, adapter_bytes, luthier, need_core
from hypothesis import example, given, settings
from hypothesis import strategies as st
from luthier.errors import InputError
from luthier.training.row_order import ReplaySampler
from luthier.training.settings import compose, flatten
from tiny_model import chat


def general_rows(folder: Path, count: int = 5) -> Path:
    path = folder / "general.jsonl"
    rows = [json.dumps({"messages": chat(f"Name the number {i}.", f"It is {i}.")}) for i in range(count)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def steps_of(sampler: ReplaySampler, count: int) -> list[list[int]]:
    return [sampler.next() for _ in range(count)]


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 60),
    replay=st.integers(1, 40),
    rows=st.integers(1, 20),
    share=st.floats(0.01, 0.9),
    shuffled=st.booleans(),
)
def test_an_epoch_has_every_row_once_and_every_step_its_share(
    count: int, replay: int, rows: int, share: float, shuffled: bool
) -> None:
    need_core()
    sampler = ReplaySampler(count, replay, rows, 3, shuffled, share)
    expected = max(1, round(count * share / (1 - share)))
    for epoch in range(2):
        assert sampler.state() == {"epoch": epoch, "offset": 0}
        steps = steps_of(sampler, sampler.steps_per_epoch)
        drawn = [example for step in steps for example in step]
        assert sorted(example for example in drawn if example < count) == list(range(count))
        assert sum(example >= count for example in drawn) == expected
        assert all(len(step) == rows for step in steps[:-1]) and max(drawn) < count + replay
        for step in steps:
            replayed = sum(example >= count for example in step)
            assert abs(replayed - len(step) * expected / (count + expected)) < 1


@settings(max_examples=40, deadline=None)
@example(count=12, replay=1, stop=6, share=0.53125)  # stops where only general rows are left of the epoch
@given(count=st.integers(1, 30), replay=st.integers(1, 9), stop=st.integers(0, 40), share=st.floats(0.05, 0.6))
def test_a_restored_order_goes_on_as_the_one_it_was_taken_from(
    count: int, replay: int, stop: int, share: float
) -> None:
    need_core()
    whole = ReplaySampler(count, replay, 4, 7, True, share)
    steps_of(whole, stop)
    again = ReplaySampler(count, replay, 4, 7, True, share)
    again.restore(json.loads(json.dumps(whole.state())))
    assert steps_of(whole, 12) == steps_of(again, 12)


def test_general_rows_take_turns_over_the_epochs() -> None:
    need_core()
    sampler = ReplaySampler(9, 10, 4, 0, True, 0.1)  # one general row an epoch
    drawn = [example for step in steps_of(sampler, 10 * sampler.steps_per_epoch) for example in step if example >= 9]
    assert sorted(drawn) == list(range(9, 19))


def test_a_state_of_other_rows_is_refused() -> None:
    need_core()
    with pytest.raises(InputError, match="was the data changed"):
        ReplaySampler(4, 2, 4, 0, True, 0.1).restore({"epoch": 0, "offset": 5})


def test_a_share_needs_a_file_and_lies_between_none_and_all() -> None:
    values = {"model": "m", "out": "o"}
    with pytest.raises(InputError, match="no 'replay'"):
        compose(values | {"replay_share": 0.2})
    for share in (0, 1, -0.1, "much"):
        with pytest.raises(InputError, match="'replay-share' is"):
            compose(values | {"replay": "f", "replay_share": share})
    assert compose(values | {"replay": "f"}).data.share_of_replay == 0.1
    assert compose(flatten(compose(values))).data.replay is None


def test_the_ledger_says_which_rows_are_replay(case: FitCase) -> None:
    path = general_rows(case.folder)
    run = case.fit(replay=str(path), replay_share=0.25, epochs=3)
    lines = run.ledger
    assert [line["replay"] for line in lines] == [False] * 13 + [True] * 5
    assert [line["file"] for line in lines[13:]] == [str(path)] * 5 and [line["line"] for line in lines[13:]] == [
        *range(1, 6)
    ]
    assert [line["times_seen"] for line in lines[:13]] == [3] * 13
    assert sum(line["times_seen"] for line in lines[13:]) == 3 * round(13 / 3)
    rows = run.record["rows"]
    assert rows["replay"] == 5 and rows["replay_share_seen"] == pytest.approx(12 / 51)
    assert run.settings["replay"] == str(path.resolve()) and run.settings["replay_share"] == 0.25
    assert all(metric["rows"] <= 4 for metric in run.metrics)


def test_bad_general_rows_are_in_the_ledger_as_replay(case: FitCase) -> None:
    path = general_rows(case.folder)
    path.write_text(path.read_text() + "{}\n")
    run = case.fit(replay=str(path), skip_bad=True, epochs=1)
    last = run.ledger[-1]
    assert last["replay"] is True and last["line"] == 6 and "among the row's keys" in last["dropped"]


def test_a_fit_without_replay_has_no_word_of_it(case: FitCase) -> None:
    run = case.fit(epochs=1)
    assert all("replay" not in line for line in run.ledger) and "replay" not in run.record["rows"]


def test_a_resumed_fit_with_replay_has_the_bytes_of_one_that_was_never_stopped(
    case: FitCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(general_rows(case.folder))
    whole = case.fit("whole", replay=path, replay_share=0.3)
    from luthier.training import steps

    run_step = steps.run_step

    def failing(job: Any, step: int) -> Any:
        if step == 5:
            raise RuntimeError("stopped")
        return run_step(job, step)

    with monkeypatch.context() as patch:
        patch.setattr(steps, "run_step", failing)
        with pytest.raises(RuntimeError, match="stopped"):
            case.fit(replay=path, replay_share=0.3)
    resumed = case.fit(replay=path, replay_share=0.3, resume=True)
    assert adapter_bytes(resumed.folder) == adapter_bytes(whole.folder)
    assert resumed.ledger == whole.ledger


def test_changed_general_rows_are_not_continued_with(case: FitCase, monkeypatch: pytest.MonkeyPatch) -> None:
    path = general_rows(case.folder)
    from luthier.training import steps

    def failing(job: Any, step: int) -> Any:
        raise RuntimeError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(steps, "run_step", failing)
        with pytest.raises(RuntimeError, match="stopped"):
            case.fit(replay=str(path))
    general_rows(case.folder, count=6)
    with pytest.raises(InputError, match="replay_rows is not what"):
        case.fit(replay=str(path), resume=True)


@pytest.mark.parametrize("content", ["", '{"messages": [{"role": "user", "content": "no answer"}]}\n'])
def test_a_file_without_general_rows_is_refused_before_any_step(case: FitCase, content: str) -> None:
    path = case.folder / "general.jsonl"
    path.write_text(content)
    status, _, error = luthier(*case.flags(replay=str(path)))
    assert status == 2 and "general.jsonl" in error and not (case.folder / "run" / "checkpoints").exists()


def test_the_plan_counts_the_steps_of_replay(case: FitCase) -> None:
    from luthier.training.run_plan import plan_run

    given = case.settings(replay=str(general_rows(case.folder)), replay_share=0.5, epochs=1)
    assert plan_run(given).steps == 7  # 26 rows in steps of 4
