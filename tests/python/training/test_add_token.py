"""`fit --add-token`: new tokens are learned, kept beside the adapter, and found again by whatever loads the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from fit_case import FitCase, luthier
from luthier.errors import InputError
from luthier.formats import read_safetensors
from luthier.models import load
from luthier.training.run import Run
from tiny_gguf import make_tiny_gguf
from tiny_model import TinyShape, chat, make_tiny_model

TOKENS = ["<left>", "<right>"]
ANSWERS = {"read a file": "<left>", "sort the mail": "<right>", "the network": "<right><left>"}
ROWS_NAME = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta"
HEAD_NAME = "base_model.model.lm_head.token_adapter.trainable_tokens_delta"


def write_rows(path: Path) -> Path:
    rows = [{"messages": chat(user, answer)} for user, answer in ANSWERS.items()] * 4
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def fitted(case: FitCase, out: str = "run", **changes: Any) -> Run:
    """A fit that learns the answers by heart."""
    rows = str(write_rows(case.folder / "rows.jsonl"))
    options = {"train": rows, "valid": None, "epochs": None, "steps": 60, "add_token": TOKENS, "no_check": True}
    run: Run = case.fit(out, **(options | changes))
    return run


def answers(model: Any) -> dict[str, str]:
    return {user: model.generate(user, max_new_tokens=6) for user in ANSWERS}


@pytest.fixture(scope="module", params=["tied", "untied", "spare", "pieces"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a tied head, with one of its own, with rows to spare behind its vocabulary, or with a sentencepiece
    model."""
    if request.param == "pieces":
        pytest.importorskip("sentencepiece")
        from tiny_pieces import make_tiny_piece_model

        return make_tiny_piece_model(tmp_path_factory.mktemp("pieces") / "model", TinyShape(layers=2), prefix=False)
    shape = TinyShape(layers=2, tied=request.param != "untied")
    rows = 333 if request.param == "spare" else None
    return make_tiny_model(tmp_path_factory.mktemp(request.param) / "model", shape, rows=rows)


def test_a_fit_learns_to_write_new_tokens(case: FitCase, base: Path) -> None:
    plain = load(base, dtype="float32")
    run = fitted(case, model=str(base))
    model = run.model()
    assert answers(model) == ANSWERS
    first = plain.tokenizer.vocabulary_size
    before, rows = int(plain.decoder.config["vocabulary_size"]), int(model.decoder.config["vocabulary_size"])
    assert rows == max(before, first + 2)
    names = ["model.embed_tokens.weight"] + ["lm_head.weight"] * (not plain.decoder.config["tied_head"])
    for name in names:
        old, new = plain.decoder.weight(name), model.decoder.merged_weight(name)
        assert torch.equal(new[:first], old[:first]), "the other rows stay"
        assert torch.equal(new[first + 2 :], old[first + 2 :])
        assert not torch.allclose(new[first], new[first + 1])
    model.decoder.detach()
    ids = [1, 40, 41, 7, 2]
    assert torch.equal(model.logits(ids)[:, :first], plain.logits(ids)[:, :first])
    assert "added tokens 2" in repr(run)


def test_the_adapter_folder_is_one_that_peft_loads(case: FitCase, base: Path) -> None:
    from peft import AutoPeftModelForCausalLM

    run = fitted(case, model=str(base))
    model = run.model("float32")
    config = json.loads((run.folder / "adapter" / "adapter_config.json").read_text())
    tied = bool(model.decoder.config["tied_head"])
    ids = [model.tokenizer.added_tokens[token] for token in TOKENS]
    assert config["trainable_token_indices"] == dict.fromkeys(["embed_tokens"] + ["lm_head"] * (not tied), ids)
    held = read_safetensors(run.folder / "adapter" / "adapter_model.safetensors")
    assert tuple(held[ROWS_NAME].shape) == (2, 40)
    assert (HEAD_NAME in held) is not tied
    theirs = AutoPeftModelForCausalLM.from_pretrained(run.folder / "adapter", dtype=torch.float32).eval()
    row = [1, 40, ids[0], 41, ids[1], 7]
    with torch.no_grad():
        wanted = theirs(torch.tensor([row])).logits[0]
    assert float((model.logits(row) - wanted).norm() / wanted.norm()) <= 1e-4


@pytest.mark.parametrize("full", [False, True])
def test_merged_folders_and_gguf_files_have_the_tokens(case: FitCase, base: Path, full: bool) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    changes: dict[str, Any] = {"adapter": "full", "rank": None, "learning_rate": 3e-3, "steps": 150} if full else {}
    run = fitted(case, model=str(base), **changes)
    model = run.model("float32")
    assert answers(model) == ANSWERS
    merged, gguf = case.folder / "merged", case.folder / "gguf"
    run.export(merged, dtype="float32", check=["transformers"])
    run.export(gguf, "gguf", dtype="float32")
    config = json.loads((merged / "config.json").read_text())
    assert config["vocab_size"] == model.decoder.config["vocabulary_size"]
    theirs, tokenizer = AutoModelForCausalLM.from_pretrained(merged).eval(), AutoTokenizer.from_pretrained(merged)
    row = model.tokenizer.encode_text("read<left>a <right> file")
    assert tokenizer("read<left>a <right> file", add_special_tokens=False)["input_ids"] == row
    with torch.no_grad():
        wanted = theirs(torch.tensor([row])).logits[0]
    for folder in (merged, gguf / "model-F32.gguf"):
        again = load(folder, dtype="float32")
        assert again.tokenizer.encode_text("read<left>a <right> file") == row
        assert float((again.logits(row) - wanted).norm() / wanted.norm()) <= 1e-4
        assert answers(again) == ANSWERS


def test_adapters_are_exported_where_the_format_can_hold_them(case: FitCase, base: Path) -> None:
    run = fitted(case, model=str(base))
    run.export(case.folder / "peft", "peft", check=["peft"])
    assert answers(load(base, adapter=case.folder / "peft", dtype="float32")) == ANSWERS
    with pytest.raises(InputError, match="added 2 tokens, whose rows a GGUF adapter cannot hold"):
        run.export(case.folder / "lora", "gguf-lora")
    assert not (case.folder / "lora").exists()


def test_a_gguf_file_gets_tokens_too(case: FitCase, tiny_folder: Path) -> None:
    path = make_tiny_gguf(tiny_folder, case.folder / "base.gguf")
    run = fitted(case, model=str(path))
    assert answers(run.model()) == ANSWERS
    for format, file in (("gguf", "model-F32.gguf"), ("merged", ".")):
        run.export(case.folder / format, format, dtype="float32")
        assert answers(load(case.folder / format / file, dtype="float32")) == ANSWERS


def test_bfloat16_learns_them_too(case: FitCase) -> None:
    run = fitted(case, dtype="bfloat16")
    assert answers(run.model()) == ANSWERS


def test_a_plan_counts_the_rows(case: FitCase) -> None:
    import luthier as lu

    options = {"model": str(case.model), "rank": 4, "threads": 1, "steps": 2}
    plain = lu.plan(case.train, **options)
    more = lu.plan(case.train, add_token=TOKENS, **options)
    assert more.trained_parameters == plain.trained_parameters + 2 * 40
    assert more.memory.trainer > plain.memory.trainer


@pytest.mark.parametrize(
    ("token", "words"),
    [("  ", "not white space"), ("h", "is a token of this model already"), ("<|im_end|>x", "a control token")],
)
def test_tokens_that_cannot_be_are_refused_before_anything_is_written(case: FitCase, token: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        fitted(case, add_token=[token])
    assert not (case.folder / "run" / "run.json").exists()


def test_an_adapter_with_tokens_is_no_start_for_another_fit(case: FitCase) -> None:
    run = fitted(case, steps=1)
    with pytest.raises(InputError, match="'adapter-init': the adapter .* has rows for 2 added tokens"):
        fitted(case, "next", adapter_init=str(run.folder / "adapter"), rank=None, add_token=None)


def test_an_adapter_without_its_tokenizer_or_for_another_model_is_refused(case: FitCase, tmp_path: Path) -> None:
    run = fitted(case, steps=1)
    folder = run.folder / "adapter"
    other = make_tiny_model(tmp_path / "other", TinyShape(layers=2), rows=400)
    assert load(other, adapter=folder).tokenizer.added_tokens["<left>"] >= 0, "rows to spare do no harm"
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="has rows for 2 tokens that the model lacks, but no tokenizer"):
        load(case.model, adapter=folder)


def test_rows_of_which_the_configuration_does_not_speak_are_refused(case: FitCase) -> None:
    folder = fitted(case, steps=1).folder / "adapter"
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"trainable_token_indices": None}))
    with pytest.raises(InputError, match="holds rows of tokens for embed_tokens, and .* speaks of none"):
        load(case.model, adapter=folder)
    first = config["trainable_token_indices"]["embed_tokens"][0]
    path.write_text(json.dumps(config | {"trainable_token_indices": {"embed_tokens": [first]}}))
    with pytest.raises(InputError, match=r"has the shape \[2, 40\], and adapter_config.json lists 1 tokens"):
        load(case.model, adapter=folder)


def test_the_command_line_takes_several(case: FitCase) -> None:
    rows = write_rows(case.folder / "rows.jsonl")
    flags = case.flags("run", train=str(rows), valid=None, epochs=None, steps=2)
    status, _, error = luthier(*flags, "--add-token", "<left>", "--add-token", "<right>", "--no-check")
    assert status == 0, error
    assert "2 tokens added, from id" in error
    assert Run(case.folder / "run").settings["add_token"] == TOKENS
    status, _, error = luthier(*case.flags("other", train=str(rows)), "--add-token", " ")
    assert status == 2 and "--add-token ' '" in error and "Traceback" not in error
