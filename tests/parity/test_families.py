"""Every family: fp32 logits, gradients and greedy tokens equal those of Transformers and PEFT with the same weights.

With `--write-compatibility` what passed becomes a table of docs/reference/compatibility.md.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from families import CASES, VOCABULARY, make_family_model
from family_gguf import write_family_gguf
from our_side import Adapter, Gradients, Greedy, Logits, OurSide
from peers import gradients, largest_errors, relative_error, with_adapter
from subjects import Subject, branching_rows, random_row

TOLERANCE = 1e-4
FOREST_TOLERANCE = 1e-5
NEW_TOKENS = 16


@pytest.fixture(scope="session")
def families() -> dict[str, Subject]:
    """The models that were made so far, by the name of their case."""
    return {}


@pytest.fixture(params=list(CASES))
def family(
    request: pytest.FixtureRequest, families: dict[str, Subject], tmp_path_factory: pytest.TempPathFactory
) -> Subject:
    """Each case in turn, with rows that are longer than its windows."""
    name = request.param
    if name not in families:
        case = CASES[name]
        path = make_family_model(case, tmp_path_factory.mktemp(name) / "model", seed=len(name))
        generator = torch.Generator().manual_seed(len(name))
        rows = [random_row(generator, length) for length in (2, 3, 17, 31, 65, 130)]
        families[name] = Subject(name, path, rows, branching_rows(generator), [], rows[-1].tokens)
    return families[name]


def adapter_of(family: Subject, kind: str) -> Adapter | None:
    return family.adapter() if kind == "lora" else None


def peer_of(family: Subject, adapter: Adapter | None = None) -> Any:
    model = family.peer()
    model.set_attn_implementation("eager")  # the others know no soft caps
    return model if adapter is None else with_adapter(model, adapter)


def peer_logits(family: Subject) -> list[torch.Tensor]:
    with torch.no_grad():
        ids = torch.tensor([family.tokens])
        return [peer_of(family, adapter)(input_ids=ids).logits[0] for adapter in (None, family.adapter())]


def peer_greedy(family: Subject, prompts: list[list[int]]) -> list[list[int]]:
    """The most probable token again and again, each from the whole sequence: no cache, no padding."""
    model = peer_of(family)
    answers = []
    for prompt in prompts:
        tokens = list(prompt)
        for _ in range(NEW_TOKENS):
            with torch.no_grad():
                tokens.append(int(model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax()))
        answers.append(tokens[len(prompt) :])
    return answers


def test_logits_equal_those_of_transformers_and_peft(family: Subject, ours: OurSide) -> None:
    plain, adapted = family.once("logits", lambda: peer_logits(family))
    assert relative_error(adapted, plain) > 1e-2, "the adapter should change the logits"
    questions = [Logits(family.tokens), Logits(family.tokens, family.adapter())]
    for answer, wanted in zip(ours.ask(family.path, questions), (plain, adapted), strict=True):
        assert relative_error(answer.logits, wanted) <= TOLERANCE
        assert float((answer.logits - wanted).abs().max() / wanted.abs().max()) <= TOLERANCE


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_gradients_equal_those_of_transformers_and_peft(family: Subject, ours: OurSide, kind: str) -> None:
    adapter = adapter_of(family, kind)
    loss, wanted = family.once(
        f"gradients {kind}", lambda: gradients(peer_of(family, adapter), family.rows, adapter=adapter is not None)
    )
    question = Gradients(family.rows, adapter)
    answer, again = ours.ask(family.path, [question, dataclasses.replace(question, recompute=True)])
    assert answer.loss == pytest.approx(loss, rel=1e-5)
    assert largest_errors(answer.gradients, wanted)[0] <= (TOLERANCE, "")
    assert all(torch.equal(again.gradients[name], value) for name, value in answer.gradients.items())


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_a_forest_gives_what_its_rows_give_one_by_one(family: Subject, ours: OurSide, kind: str) -> None:
    adapter = adapter_of(family, kind)
    together, alone = ours.ask(
        family.path, [Gradients(family.forest_rows, adapter), Gradients(family.forest_rows, adapter, micro_tokens=1)]
    )
    assert together.loss == pytest.approx(alone.loss, rel=FOREST_TOLERANCE)
    assert largest_errors(together.gradients, alone.gradients)[0] <= (FOREST_TOLERANCE, "")


def test_greedy_tokens_equal_those_of_transformers(family: Subject, ours: OurSide) -> None:
    prompts = [row.tokens for row in [*family.rows[2:], *family.forest_rows[:4]]]
    wanted = family.once("greedy", lambda: peer_greedy(family, prompts))
    [answer] = ours.ask(family.path, [Greedy(prompts, NEW_TOKENS)])
    assert answer.answers == wanted
    assert len({tuple(tokens) for tokens in wanted}) > len(wanted) // 2, "the prompts should have different answers"


def test_bf16_stays_near_fp32(family: Subject, ours: OurSide) -> None:
    questions = [Gradients(family.rows, family.adapter()), Gradients(family.rows)]
    for wide, narrow in zip(
        ours.ask(family.path, questions), ours.ask(family.path, questions, dtype="bfloat16"), strict=True
    ):
        assert narrow.loss == pytest.approx(wide.loss, rel=2e-2)
        errors = sorted(error for error, _ in largest_errors(narrow.gradients, wide.gradients))
        assert errors[len(errors) // 2] < 0.1


def test_a_gguf_file_gives_the_logits_of_its_folder(family: Subject, ours: OurSide, tmp_path: Path) -> None:
    if not CASES[family.name].gguf:
        pytest.skip("GGUF files do not hold these settings")
    path = family.once("gguf", lambda: write_family_gguf(family.path, family.path / "model.gguf"))
    [wanted] = ours.ask(family.path, [Logits(family.tokens)])
    [found] = ours.ask(path, [Logits(family.tokens)])
    assert relative_error(found.logits, wanted.logits) <= 1e-5


def test_rows_are_longer_than_the_windows_and_within_the_vocabulary(family: Subject) -> None:
    window = CASES[family.name].settings.get("sliding_window") or 0
    assert window < max(len(row.tokens) for row in family.forest_rows)
    assert max(max(row.tokens) for row in [*family.rows, *family.forest_rows]) < VOCABULARY


def test_a_row_beyond_the_short_factors_of_longrope_is_refused(tmp_path: Path) -> None:
    from luthier import _core
    from luthier.errors import InputError

    folder = make_family_model(CASES["phi3_longrope"], tmp_path / "model", seed=1)
    decoder = _core.Decoder.load(str(folder), "float32")
    decoder.logits([5] * 256)
    with pytest.raises(InputError, match="257 tokens.*longer than 256.*longrope"):
        decoder.logits([5] * 257)
