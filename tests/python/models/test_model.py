"""`Model` on tiny models: logits, gradients and answers, against Transformers of the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from luthier.errors import InputError
from luthier.models import Model, load
from luthier.records import read
from tiny_model import TinyShape, chat, make_tiny_model

IDS = [1, 40, 41, 42, 7, 99, 120, 2, 5]
ROWS = [chat("read a file", "files"), chat("send it", "mail", system="Sort."), chat("2 + 2", "4")]


@pytest.fixture(scope="module", params=["tied", "untied_with_biases"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = TinyShape() if request.param == "tied" else TinyShape(tied=False, biases=True, head_dim=6)
    return make_tiny_model(tmp_path_factory.mktemp(request.param) / "model", shape)


@pytest.fixture
def model(base: Path) -> Model:
    return load(base, dtype="float32")


def transformers_model(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def test_logits_are_those_of_transformers(model: Model, base: Path) -> None:
    with torch.no_grad():
        wanted = transformers_model(base)(torch.tensor([IDS])).logits[0]
    found = model.logits(IDS)
    assert found.shape == wanted.shape
    assert found.dtype == torch.float32
    assert float((found - wanted).norm() / wanted.norm()) <= 1e-4
    assert torch.equal(model.logits(torch.tensor(IDS)), found)  # type: ignore[arg-type]


def test_tokens_out_of_range_are_an_input_error(model: Model) -> None:
    for ids in ([1, 300], [-1, 1]):
        with pytest.raises(InputError, match=r"token (300|-1) .* 0 to 299"):
            model.logits(ids)
    with pytest.raises(InputError, match=r"no tokens"):
        model.logits([])


def test_full_gradients_are_those_of_autograd(model: Model, base: Path) -> None:
    loss, gradients = model.loss_and_gradients(ROWS)
    theirs = transformers_model(base)
    theirs.model.embed_tokens.padding_idx = None  # else torch leaves the padding token out of the embedding's gradient
    total, weight = torch.zeros(()), 0.0
    for row in model.encoder.encode_rows(_records(ROWS)):
        weights = torch.tensor(row.weights[1:])
        logprobs = theirs(torch.tensor([row.tokens])).logits[0, :-1].log_softmax(-1)
        picked = logprobs.gather(1, torch.tensor(row.tokens[1:])[:, None])[:, 0]
        total = total - (picked * weights).sum()
        weight += float(weights.sum())
    (total / weight).backward()
    assert loss == pytest.approx(float(total.detach()) / weight, rel=1e-4)
    wanted = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    assert set(gradients) == set(wanted)
    for name, gradient in gradients.items():
        assert float((gradient - wanted[name]).norm() / wanted[name].norm()) <= 1e-4, name


def test_with_an_adapter_the_gradients_are_the_adapters(model: Model) -> None:
    from luthier.export import AdapterConfig

    model.decoder.attach_lora(3, 6.0, ["q_proj", "down_proj"], False, 0)
    model.adapter = AdapterConfig(3, 6.0, ("q_proj", "down_proj"))
    _, gradients = model.loss_and_gradients(ROWS)
    assert set(gradients) == set(model.decoder.adapter_tensors())
    assert all(bool((gradient == 0).all()) for name, gradient in gradients.items() if "lora_A" in name), (
        "B is zero at the start"
    )
    assert all(bool((gradient != 0).any()) for name, gradient in gradients.items() if "lora_B" in name)


def test_rows_come_from_a_file_or_from_memory(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "read a file", "completion": "files"}\n')
    from_file, _ = model.loss_and_gradients(path)
    assert from_file == model.loss_and_gradients(read(path))[0]
    assert from_file == model.loss_and_gradients([ROWS[0]])[0]
    assert from_file == model.loss_and_gradients(str(path))[0]


def test_rows_without_anything_to_learn_are_refused(model: Model) -> None:
    with pytest.raises(InputError, match=r"memory>:2: .*truncation"):
        model.loss_and_gradients([chat("a", "b"), chat("a " * 60, "b")], max_length=45)
    with pytest.raises(InputError, match=r"there are no rows"):
        model.loss_and_gradients([])
    silent = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]
    with pytest.raises(InputError, match=r"no supervised token"):
        model.loss_and_gradients([silent])


def test_greedy_answers_are_those_of_transformers(model: Model, base: Path) -> None:
    from transformers import AutoTokenizer

    theirs = transformers_model(base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    prompts: list[Any] = [
        "read a file",
        chat("sort it", system="Be brief."),
        "東京 and tabs\t!",
        chat("a", "b") + chat("c"),
    ]
    wanted = []
    for prompt in prompts:
        messages = chat(prompt) if isinstance(prompt, str) else prompt
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        out = theirs.generate(**ids, max_new_tokens=15, do_sample=False)[0, ids["input_ids"].shape[1] :]
        wanted.append(tokenizer.decode(out, skip_special_tokens=True))
    assert model.generate(prompts, max_new_tokens=15) == wanted
    assert model.generate(prompts[0], max_new_tokens=15) == wanted[0]
    assert model.generate(prompts[1], max_new_tokens=15) == wanted[1]
    assert len(set(wanted)) == len(wanted), "different prompts should have different answers here"


def test_sampling_follows_the_seed(model: Model) -> None:
    prompts = ["read a file", "sort it"]
    first = model.generate(prompts, max_new_tokens=12, temperature=1.5, seed=1)
    assert first == model.generate(prompts, max_new_tokens=12, temperature=1.5, seed=1)
    assert first != model.generate(prompts, max_new_tokens=12, temperature=1.5, seed=2)


def test_settings_out_of_range_are_input_errors(model: Model) -> None:
    with pytest.raises(InputError, match=r"max_new_tokens is 0"):
        model.generate("a", max_new_tokens=0)
    with pytest.raises(InputError, match=r"temperature is -1"):
        model.generate("a", temperature=-1.0)
    with pytest.raises(InputError, match=r"256 positions"):
        model.generate("word " * 300)
    with pytest.raises(InputError, match=r"row 0: .*role"):
        model.generate([[{"role": "robot", "content": "x"}]])
    assert model.generate([]) == []


def test_load_names_what_is_wrong(base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dtype is 'float64'"):
        load(base, dtype="float64")
    with pytest.raises(InputError, match=r"there is no folder"):
        load(base, tmp_path / "no-adapter")


def test_a_model_describes_itself(model: Model) -> None:
    text = repr(model)
    assert "llama" in text
    assert "3 layers of 40" in text
    assert "float32" in text


def _records(rows: list[list[dict[str, str]]]) -> list[Any]:
    from luthier.models.conversations import training_records

    return training_records(rows)


def test_a_folder_without_a_tokenizer_takes_token_ids(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "model")
    whole = load(folder, dtype="float32")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).unlink(missing_ok=True)
    model = load(folder, dtype="float32")
    assert torch.equal(model.logits([3, 4, 5]), whole.logits([3, 4, 5]))
    (answer,) = model.generate_ids([[3, 4, 5]], max_new_tokens=6)
    tokens = [3, 4, 5]
    for token in answer:
        assert int(model.logits(tokens)[-1].argmax()) == token
        tokens.append(token)
    assert len(answer) == 6
    assert model.generate_ids([[3, 4, 5]], 6, ends=[answer[2]])[0] == answer[: answer.index(answer[2])]
    with pytest.raises(InputError, match="there is no tokenizer in this folder"):
        model.generate("hello")
    with pytest.raises(InputError, match="token 99999"):
        model.generate_ids([[3, 99999]])
