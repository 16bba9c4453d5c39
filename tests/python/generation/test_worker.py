"""The thread that decodes: answers as from `Model.answer`, whatever else is asked at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from fit_case import need_core
from luthier.errors import InputError, LuthierError
from luthier.generation import BusyError, DecodingWorker, Piece, Sampling
from luthier.generation.worker import default_cache_tokens
from tiny_model import TinyShape, make_tiny_model

PROMPTS = [f"read the file at {index} " * (1 + index % 3) for index in range(12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with room for long answers."""
    need_core()
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model", TinyShape(layers=2, max_positions=9000))


@pytest.fixture
def model(folder: Path) -> Any:
    """A model of its own for each test."""
    from luthier.models import load

    return load(folder, dtype="float32")


def encoded(model: Any, prompts: Sequence[str]) -> list[list[int]]:
    """The prompts as chats of one message."""
    from luthier.models.conversations import to_record

    return list(model.encoder.encode_prompts([to_record(prompt) for prompt in prompts]))


def collected(worker: DecodingWorker, prompt: list[int], sampling: Sampling, mask: Any = None) -> list[Piece]:
    """The pieces of one answer."""
    pieces: Queue[Piece] = Queue()
    worker.submit(prompt, sampling, pieces.put, mask)
    return until_the_end(pieces)


def until_the_end(pieces: Queue[Piece]) -> list[Piece]:
    found = [pieces.get(timeout=120)]
    while not found[-1].finish:
        found.append(pieces.get(timeout=120))
    return found


def text_of(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def endless(model: Any) -> list[int]:
    """A prompt whose greedy answer does not end soon."""
    prompts = encoded(model, PROMPTS)
    from luthier import _core

    answers = _core.generate(model.decoder, prompts, 200, sorted(model.encoder.end_ids))
    return next(prompt for prompt, answer in zip(prompts, answers) if len(answer) == 200)


def test_answers_are_those_of_the_model_alone(model: Any) -> None:
    wanted = model.generate(PROMPTS, max_new_tokens=40)
    with DecodingWorker(model, max_rows=5) as worker:
        queues: list[Queue[Piece]] = []
        for prompt in encoded(model, PROMPTS):
            queues.append(Queue())
            worker.submit(prompt, Sampling(40), queues[-1].put)
        found = [until_the_end(pieces) for pieces in queues]
        assert worker.open_answers == 0
    assert [text_of(pieces) for pieces in found] == wanted
    assert all(pieces[-1].tokens <= 40 for pieces in found)


def test_the_same_seed_gives_the_answer_of_generate(model: Any) -> None:
    wanted = model.generate(PROMPTS[0], max_new_tokens=30, temperature=1.0, seed=5)
    prompt = encoded(model, PROMPTS[:1])[0]
    with DecodingWorker(model) as worker:
        found = [text_of(collected(worker, prompt, Sampling(30, 1.0, seed=seed))) for seed in (5, 5, 6)]
    assert found[0] == found[1] == wanted
    assert found[2] != wanted


def test_scores_are_those_of_the_model(model: Any) -> None:
    prompt = encoded(model, PROMPTS[:1])[0]
    with DecodingWorker(model) as worker:
        pieces = collected(worker, prompt, Sampling(12, logprobs=3))
    scores = [score for piece in pieces for score in piece.scores]
    assert len(scores) == pieces[-1].tokens
    tokens = [score.token for score in scores]
    logprobs = model.logits([*prompt, *tokens]).log_softmax(-1)
    for index, score in enumerate(scores):
        row = logprobs[len(prompt) + index - 1]
        assert score.logprob == pytest.approx(float(row[score.token]), abs=1e-4)
        assert [token for token, _ in score.likely] == row.topk(3).indices.tolist()
        assert score.likely[0] == (score.token, score.logprob)  # greedy


def test_a_stop_string_ends_the_answer_and_its_scores(model: Any) -> None:
    prompt = endless(model)
    with DecodingWorker(model) as worker:
        whole = text_of(collected(worker, prompt, Sampling(60)))
        stop = whole[11:16]
        pieces = collected(worker, prompt, Sampling(60, stop=(stop,), logprobs=0))
        assert worker.open_answers == 0
    assert text_of(pieces) == whole[: whole.index(stop)]
    assert pieces[-1].finish == "stop"
    spelled = "".join(model.tokenizer.decode([score.token]) for piece in pieces for score in piece.scores)
    assert len(spelled) >= len(text_of(pieces))


def test_a_mask_restricts_each_token(model: Any) -> None:
    prompt = encoded(model, PROMPTS[:1])[0]
    words = (model.decoder.config["vocabulary_size"] + 31) // 32
    asked: list[int] = []

    def only(token: int) -> list[int]:
        asked.append(token)
        allowed = [0] * words
        wanted = 70 + len(asked)
        allowed[wanted // 32] = 1 << wanted % 32 if wanted % 32 < 31 else -(2**31)
        return allowed if len(asked) < 5 else [0] * words

    with DecodingWorker(model) as worker:
        pieces = collected(worker, prompt, Sampling(20), only)
    assert asked == [-1, 71, 72, 73, 74]
    assert text_of(pieces) == model.tokenizer.decode([71, 72, 73, 74])
    assert (pieces[-1].finish, pieces[-1].tokens) == ("stop", 4)


def test_a_mask_that_fails_ends_its_answer_alone(model: Any) -> None:
    prompts = encoded(model, PROMPTS[:2])
    wanted = model.generate(PROMPTS[1], max_new_tokens=20)

    def broken(token: int) -> list[int]:
        raise ValueError("no mask")

    with DecodingWorker(model) as worker:
        failed = collected(worker, prompts[0], Sampling(20), broken)
        assert text_of(collected(worker, prompts[1], Sampling(20))) == wanted
        assert worker.open_answers == 0
    assert isinstance(failed[-1].error, ValueError)


def test_a_cancelled_answer_makes_room(model: Any) -> None:
    prompt = endless(model)
    with DecodingWorker(model, max_rows=1, max_waiting=1) as worker:
        first: Queue[Piece] = Queue()
        running = worker.submit(prompt, Sampling(8000), first.put)
        second: Queue[Piece] = Queue()
        worker.submit(prompt, Sampling(10), second.put)
        with pytest.raises(BusyError):
            worker.submit(prompt, Sampling(10), second.put)
        assert first.get(timeout=120).text
        running.cancel()
        running.cancel()
        assert until_the_end(second)[-1].tokens == 10
        assert worker.open_answers == 0
        while not first.empty():
            assert first.get().tokens < 8000


def test_what_cannot_be_answered_fails_alone(model: Any) -> None:
    with DecodingWorker(model) as worker:
        failed = collected(worker, [10**6], Sampling(5))
        assert isinstance(failed[-1].error, InputError)
        assert collected(worker, [5, 6], Sampling(5))[-1].finish in ("stop", "length")


def test_a_step_that_fails_ends_what_was_begun_and_nothing_else(model: Any) -> None:
    class Failing:
        def __init__(self, queue: Any) -> None:
            self._queue = queue

        def step(self) -> Any:
            raise MemoryError

        def __getattr__(self, name: str) -> Any:
            return getattr(self._queue, name)

    with DecodingWorker(model) as worker:
        worker._queue = Failing(worker._queue)  # type: ignore[assignment]
        assert isinstance(collected(worker, [5, 6], Sampling(5))[-1].error, MemoryError)
        assert collected(worker, [5, 6], Sampling(5))[-1].finish in ("stop", "length")


def test_a_listener_that_is_gone_disturbs_nobody(model: Any) -> None:
    prompt = endless(model)

    def gone(piece: Piece) -> None:
        raise RuntimeError("closed")

    with DecodingWorker(model) as worker:
        worker.submit(prompt, Sampling(8000), gone)
        assert collected(worker, prompt, Sampling(10))[-1].tokens == 10
        assert worker.open_answers == 0


def test_closing_ends_what_is_unfinished(model: Any) -> None:
    pieces: Queue[Piece] = Queue()
    worker = DecodingWorker(model)
    worker.submit(endless(model), Sampling(8000), pieces.put)
    worker.close()
    assert until_the_end(pieces)[-1].finish == "failed"
    with pytest.raises(LuthierError, match="closed"):
        worker.submit([5], Sampling(1), pieces.put)


@pytest.mark.parametrize(
    ("prompt", "wanted", "room"), [(10, None, 50), (10, 20, 20), (980, None, 20), (980, 20, 20), (999, None, 1)]
)
def test_the_room_for_an_answer(model: Any, prompt: int, wanted: int | None, room: int) -> None:
    with DecodingWorker(model, cache_tokens=1000) as worker:
        assert worker.room(prompt, wanted, 50) == room


@pytest.mark.parametrize(("prompt", "wanted"), [(1000, None), (1000, 1), (981, 20), (10, 991)])
def test_no_room_is_said(model: Any, prompt: int, wanted: int | None) -> None:
    with DecodingWorker(model, cache_tokens=1000) as worker, pytest.raises(InputError, match="room for"):
        worker.room(prompt, wanted, 50)


def test_the_cache_is_bounded_by_its_memory(model: Any) -> None:
    class Decoder:
        dtype = "bfloat16"

        def __init__(self, **config: int) -> None:
            self.config = {"layers": 30, "key_heads": 3, "head_size": 64, "max_positions": 8192} | config

    class Other:
        def __init__(self, **config: int) -> None:
            self.decoder = Decoder(**config)

    def limits(**config: int) -> int:
        return default_cache_tokens(Other(**config))  # type: ignore[arg-type]

    assert limits() == 32768
    assert limits(key_heads=12) == 2**30 // (2 * 30 * 12 * 64 * 2)
    assert limits(key_heads=64) == 8192
    assert limits(key_heads=64, max_positions=2048) == 2**30 // (2 * 30 * 64 * 64 * 2)
