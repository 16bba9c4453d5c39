"""The core as Python sees it: what it computes at the edges, and how it says that something is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from luthier.errors import InputError, LuthierError
from tiny_model import TinyShape, make_tiny_model

_core = pytest.importorskip("luthier._core", reason="the C++ core is not built")

WORD = [5, 9, 17, 30, 8, 11, 40, 77, 23, 6]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("core") / "model", TinyShape(layers=2, tied=False))


@pytest.fixture
def decoder(folder: Path) -> Any:
    return _core.Decoder.load(str(folder), "float32")


def dataset(rows: list[list[int]], max_length: int = 1000) -> Any:
    """Rows whose tokens are all supervised."""
    made = _core.Dataset(max_length)
    for index, tokens in enumerate(rows):
        made.add(index, tokens, [1.0] * len(tokens), [False] * (len(tokens) - 1) + [True])
    return made


def lora_trainer(decoder: Any, micro_tokens: int = 4096, clip: float = 1.0) -> Any:
    """A trainer over an adapter whose B is not zero."""
    decoder.attach_lora(3, 6.0, ["all-linear"], False, 0)
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: 0.2 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in sorted(decoder.adapter_tensors().items())
    }
    decoder.attach_adapter(tensors, 3, 6.0, ["all-linear"], False)
    return _core.Trainer(decoder, "lora", micro_tokens, clip, 0.0)


def test_errors_are_those_of_the_package() -> None:
    assert _core.InputError is InputError
    assert _core.Error is LuthierError


def test_the_loss_is_that_of_the_logits(decoder: Any) -> None:
    rows = [WORD, WORD[:2], WORD[3:]]
    loss, weight = lora_trainer(decoder).loss(dataset(rows), [0, 1, 2])
    wanted = 0.0
    for row in rows:
        log_probs = decoder.logits(row).log_softmax(-1)
        wanted -= sum(float(log_probs[i, token]) for i, token in enumerate(row[1:]))
    assert weight == sum(len(row) - 1 for row in rows)
    assert loss == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([WORD[:2]], id="one row of two tokens"),
        pytest.param([WORD[:2], WORD[2:4]], id="rows of two tokens"),
        pytest.param([WORD * 4] * 7, id="the same row seven times"),
        pytest.param([WORD * 9, WORD[:3], WORD * 8], id="rows longer than micro-tokens"),
    ],
)
def test_micro_batches_give_the_same_loss_and_gradients(decoder: Any, rows: list[list[int]]) -> None:
    data = dataset(rows)
    indices = list(range(len(rows)))
    loss, gradients = lora_trainer(decoder).loss_and_gradients(data, indices)
    small_loss, small_gradients = lora_trainer(decoder, micro_tokens=5).loss_and_gradients(data, indices)
    assert loss > 0
    assert small_loss == pytest.approx(loss, rel=1e-5)
    assert set(gradients) == set(decoder.adapter_tensors())
    for name, gradient in gradients.items():
        assert float((small_gradients[name] - gradient).norm()) <= 1e-5 * float(gradient.norm()), name


def test_equal_rows_are_computed_once(decoder: Any) -> None:
    row = WORD * 4
    result = lora_trainer(decoder).step(dataset([row] * 7), list(range(7)), 1e-3)
    assert result.rows == 7
    assert result.tokens == 7 * len(row)
    assert result.computed_tokens == len(row) - 1
    assert result.supervised_tokens == 7 * (len(row) - 1)
    assert result.weight == 7 * (len(row) - 1)


def test_a_step_moves_the_adapter_and_nothing_else(decoder: Any) -> None:
    base = {name: decoder.weight(name) for name in decoder.weight_names()}
    trainer = lora_trainer(decoder)
    before = decoder.adapter_tensors()
    trainer.step(dataset([WORD]), [0], 1e-2)
    after = decoder.adapter_tensors()
    assert trainer.step_count == 1
    assert all(not torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(decoder.weight(name), base[name]) for name in base)
    name = "model.layers.0.mlp.up_proj.weight"
    a, b = (after[f"base_model.model.model.layers.0.mlp.up_proj.lora_{part}.weight"] for part in "AB")
    assert torch.allclose(decoder.merged_weight(name), base[name] + 2.0 * b @ a, atol=1e-6)


def test_full_fine_tuning_moves_every_weight(decoder: Any) -> None:
    trainer = _core.Trainer(decoder, "full", 4096, 1.0, 0.1)
    before = trainer.parameters()
    assert set(before) == set(decoder.weight_names())
    trainer.step(dataset([WORD, WORD[4:]]), [0, 1], 1e-3)
    assert [name for name, tensor in trainer.parameters().items() if torch.equal(tensor, before[name])] == []


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_restored_trainer_goes_on_with_the_same_bits(folder: Path, dtype: str) -> None:
    data = dataset([WORD, WORD[2:], WORD[1:5]])
    whole = _core.Decoder.load(str(folder), dtype)
    trainer = lora_trainer(whole)
    trainer.step(data, [0, 1], 1e-2)
    state = trainer.state()
    trainer.step(data, [2, 0], 1e-2)

    other = _core.Decoder.load(str(folder), dtype)
    resumed = lora_trainer(other)
    resumed.restore(state)
    assert resumed.step_count == 1
    resumed.step(data, [2, 0], 1e-2)
    for name, tensor in whole.adapter_tensors().items():
        assert torch.equal(other.adapter_tensors()[name], tensor), name


def test_what_is_not_finite_names_its_row_and_changes_nothing(decoder: Any) -> None:
    trainer = _core.Trainer(decoder, "full", 4096, 1.0, 0.0)
    state = trainer.state()
    state["master.model.embed_tokens.weight"][99] = float("nan")
    trainer.restore(state)
    data = _core.Dataset(100)
    for row, tokens in ((40, WORD), (41, [7, 99, 5]), (42, WORD[3:])):
        data.add(row, tokens, [1.0] * len(tokens), [False] * len(tokens))
    with pytest.raises(LuthierError, match="not finite at row 41"):
        trainer.step(data, [0, 1, 2], 1e-2)
    assert trainer.step_count == 0
    for name, tensor in trainer.state().items():
        assert torch.equal(tensor.nan_to_num(1e9), state[name].nan_to_num(1e9)), name
    assert trainer.step(data, [0, 2], 1e-2).loss > 0


def test_targets_that_there_are_not_are_named_with_those_there_are(decoder: Any) -> None:
    with pytest.raises(InputError, match=r"\"q_prj\".*all-linear.*down_proj.*q_proj"):
        decoder.attach_lora(2, 4.0, ["v_proj", "q_prj"], False, 0)
    assert decoder.adapter_tensors() == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors, name: tensors.pop(name), "is missing"),
        (lambda tensors, name: tensors.update({name: tensors[name][:-1]}), "has shape"),
        (lambda tensors, name: tensors.update({name.replace("q_proj", "x_proj"): tensors[name]}), "no target layer"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(decoder: Any, change: Any, message: str) -> None:
    decoder.attach_lora(2, 4.0, ["q_proj"], False, 0)
    tensors = decoder.adapter_tensors()
    decoder.detach()
    before = decoder.logits(WORD)
    change(tensors, "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight")
    with pytest.raises(InputError, match=f"layers.1.self_attn.*{message}"):
        decoder.attach_adapter(tensors, 2, 4.0, ["q_proj"], False)
    assert torch.equal(decoder.logits(WORD), before)


def test_a_trainer_must_fit_what_is_attached(decoder: Any) -> None:
    with pytest.raises(InputError, match="no adapter is attached"):
        _core.Trainer(decoder, "lora", 4096, 1.0, 0.0)
    with pytest.raises(InputError, match="lora or full"):
        _core.Trainer(decoder, "half", 4096, 1.0, 0.0)
    trainer = lora_trainer(decoder)
    with pytest.raises(InputError, match="an adapter is attached"):
        _core.Trainer(decoder, "full", 4096, 1.0, 0.0)
    with pytest.raises(InputError, match="micro-tokens is 0"):
        _core.Trainer(decoder, "lora", 0, 1.0, 0.0)
    decoder.detach()
    with pytest.raises(LuthierError, match="was changed after the trainer"):
        trainer.step(dataset([WORD]), [0], 1e-3)


def test_a_state_that_does_not_fit_is_refused(decoder: Any) -> None:
    trainer = lora_trainer(decoder)
    state = trainer.state()
    state.pop("step")
    with pytest.raises(InputError, match="lacks step"):
        trainer.restore(state)


def test_rows_that_cannot_be_are_refused(decoder: Any) -> None:
    with pytest.raises(InputError, match="at least 2"):
        _core.Dataset(1)
    data = _core.Dataset(10)
    with pytest.raises(LuthierError, match="2 tokens, 1 weights and 2 end marks"):
        data.add(0, [1, 2], [1.0], [False, True])
    with pytest.raises(InputError, match=r"row 5: a weight of -1"):
        data.add(5, [1, 2], [0.0, -1.0], [False, True])
    assert len(data) == 0
    with pytest.raises(LuthierError, match="no example 0"):
        data.row(0)
    trainer = lora_trainer(decoder)
    with pytest.raises(LuthierError, match="without rows"):
        trainer.step(data, [], 1e-3)
    with pytest.raises(LuthierError, match=r"vocabulary|token|index|indices"):
        trainer.step(dataset([[1, 100000, 3]]), [0], 1e-3)


def test_logits_need_tokens_of_the_vocabulary(decoder: Any) -> None:
    with pytest.raises(InputError, match="no tokens"):
        decoder.logits([])
    for token in (-1, decoder.config["vocabulary_size"]):
        with pytest.raises(LuthierError):
            decoder.logits([1, token])


def test_logits_are_had_from_a_token_on(decoder: Any) -> None:
    whole = decoder.logits(WORD)
    for first in range(len(WORD)):
        torch.testing.assert_close(decoder.logits(WORD, first), whole[first:], rtol=1e-5, atol=1e-5)
    for first in (-1, len(WORD)):
        with pytest.raises(InputError, match=f"the first token is {first}: there are {len(WORD)} tokens"):
            decoder.logits(WORD, first)


def test_generation_tells_its_progress_and_can_be_stopped(decoder: Any) -> None:
    told: list[int] = []
    answers = _core.generate(decoder, [WORD, WORD[:3]], 5, [], on_done=told.append)
    assert [len(answer) for answer in answers] == [5, 5]
    assert told == sorted(told)
    assert told[-1] == 2

    def stop(finished: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _core.generate(decoder, [WORD], 5, [], on_done=stop)
    with pytest.raises(InputError, match="prompt 1 has no tokens"):
        _core.generate(decoder, [WORD, []], 5, [])


def test_a_trie_allows_its_sequences_and_nothing_else(decoder: Any) -> None:
    sequences = [[5, 9], [5, 9, 17], [40]]
    trie = _core.TokenTrie(sequences, [2])
    assert len(trie) == 5
    answers = _core.generate(decoder, [WORD, WORD[:3], WORD[4:]], 5, [2], 1.0, constraint=trie)
    assert all(answer in sequences for answer in answers)
    for wrong, words in (([], "no labels"), ([[5, -1]], "-1"), ([[5, 2]], "at which answers end")):
        with pytest.raises(InputError, match=words):
            _core.TokenTrie(wrong, [2])
    with pytest.raises(InputError, match="token 9999, which is not in the model's vocabulary"):
        _core.generate(decoder, [WORD], 5, [2], constraint=_core.TokenTrie([[9999]], [2]))


def test_a_function_is_asked_for_all_unfinished_answers_at_once(decoder: Any) -> None:
    asked: list[tuple[list[int], list[int]]] = []

    def masks(prompts: list[int], tokens: list[int], bits: torch.Tensor) -> None:
        asked.append((prompts, tokens))
        assert bits.shape == (len(prompts), (decoder.config["vocabulary_size"] + 31) // 32)
        assert bits.dtype == torch.int32 and not bits.any()
        for row, (prompt, token) in enumerate(zip(prompts, tokens)):
            if token < 0:
                bits[row, 1] = 1 << (prompt + 1)
            elif prompt == 1 and token < 40:
                bits[row, 1] = 1 << 8

    assert _core.generate(decoder, [WORD, WORD], 5, [], constraint=masks) == [[33], [34, 40]]
    assert asked == [([0, 1], [-1, -1]), ([0, 1], [33, 34]), ([1], [40])]

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _core.generate(decoder, [WORD], 5, [], constraint=stop)


def test_a_dtype_or_a_path_that_is_not_known_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="float16"):
        _core.Decoder.load(str(folder), "float16")
    with pytest.raises(InputError, match="no such file"):
        _core.Decoder.load(str(tmp_path / "nothing"), "float32")


def test_threads_are_at_least_one() -> None:
    before = _core.threads()
    with pytest.raises(InputError, match="threads is 0"):
        _core.set_threads(0)
    assert _core.threads() == before
