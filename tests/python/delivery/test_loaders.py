"""The loaders that --check names: Transformers and PEFT really load, vLLM's rules, llama.cpp where it is installed."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gguf
import pytest
from delivery_case import WIDE, left_in, named
from fit_case import make_case
from luthier.delivery import loaders
from luthier.delivery.formats import CHECKS
from luthier.delivery.loaders.gguf_reader import read_again
from luthier.delivery.loaders.llama_cpp_worker import with_scores
from luthier.delivery.loaders.with_vllm import MODULES, RANKS
from luthier.delivery.loaders.with_vllm import check as vllm_check
from luthier.errors import InputError, LuthierError
from luthier.export.adapter_config import AdapterConfig
from luthier.training.run import Run
from tiny_gguf import make_tiny_gguf
from tiny_model import make_tiny_model


def need_llama_cpp() -> None:
    """Skips the test without llama.cpp, which is not loaded into this process."""
    if find_spec("xllamacpp") is None:
        pytest.skip("llama.cpp is not installed")


def checked(run: Run, place: Path, **options: Any) -> dict[str, Any]:
    """The only check in export.json."""
    run.export(place, **options)
    written = json.loads((place / "export.json").read_text())
    (found,) = written["checks"]
    assert found["faults"] == []
    return dict(found)


@pytest.mark.parametrize(
    "options",
    [
        {"format": "merged", "check": ["transformers"]},
        {"format": "merged", "dtype": "float16", "check": "transformers"},
        {"format": "gguf", "dtype": "float32", "check": ["transformers"]},
        {"format": "gguf", "quant": "Q4_K", "check": ["transformers"]},
        {"format": "peft", "check": ["peft"]},
    ],
    ids=named,
)
def test_transformers_and_peft_answer_as_the_trained_model(
    options: dict[str, Any], run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = checked(run, tmp_path / "out", **options)
    assert capfd.readouterr().err == "", "no bars of the library"
    assert found["version"]
    assert found["agreement"]["positions"] > 5
    assert 0.8 < found["agreement"]["carried"] < 1.2
    if options["format"] != "gguf":
        assert "token ids equal in 5 rows" in found["said"]


def test_peft_loads_an_adapter_over_a_gguf_base(tmp_path: Path) -> None:
    base = make_tiny_gguf(make_tiny_model(tmp_path / "model"), tmp_path / "base.gguf")
    run = make_case(tmp_path, base).fit("run")
    assert "loaded: token ids equal" in checked(run, tmp_path / "out", format="peft", check=["peft"])["said"]


def test_rows_that_spell_control_tokens_are_left_out_of_the_comparison_of_ids(run: Run, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    texts = ["plain text", "the token <|im_end|> is text here", "plain again"]
    rows.write_text(
        "".join(
            json.dumps({"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "read 1"}]})
            + "\n"
            for text in texts
        )
    )
    found = checked(run, tmp_path / "out", rows=rows, check=["transformers"])
    assert "token ids equal in 2 rows" in found["said"]


def test_a_loader_that_differs_fails_the_export(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from luthier.delivery.loaders import with_transformers

    monkeypatch.setattr(with_transformers, "rendered_ids", lambda reference, folder: (5, ["valid.jsonl:3"]))
    with pytest.raises(LuthierError, match="transformers: its token ids differ in 1 of 5 rows, valid.jsonl:3 first"):
        run.export(tmp_path / "out", check=["transformers"])
    assert left_in(tmp_path) == []


def test_a_loader_that_cannot_load_fails_the_export(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from luthier.delivery.loaders import with_transformers

    def broken(*arguments: object) -> None:
        raise RuntimeError("size mismatch for q_proj\nand more lines")

    monkeypatch.setattr(with_transformers, "compare_logits", broken)
    with pytest.raises(LuthierError, match="transformers: it cannot load the files: size mismatch for q_proj"):
        run.export(tmp_path / "out", check=["transformers"])
    assert left_in(tmp_path) == []


def test_a_loader_that_is_not_installed_is_said_before_the_start(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaders, "find_spec", lambda name: None if name == "peft" else object())
    with pytest.raises(
        InputError, match="--check peft loads the files with peft, which is not installed: pip install peft"
    ):
        run.export(tmp_path / "out", "peft", check=["peft"])
    assert left_in(tmp_path) == []


def test_every_check_has_a_module() -> None:
    from importlib import import_module

    assert set(loaders._HOMES) == {name for names in CHECKS.values() for name in names}
    assert all(callable(import_module(home).check) for home in loaders._HOMES.values())


@pytest.mark.parametrize("format", ["peft", "merged"])
def test_the_rules_of_vllm_hold(format: str, run: Run, tmp_path: Path) -> None:
    found = checked(run, tmp_path / "out", format=format, check=["vllm"])
    wanted = "rank 4, start it with --enable-lora --max-lora-rank 16" if format == "peft" else "LlamaForCausalLM; chat"
    assert wanted in found["said"]
    assert "it was not run" in found["said"]


@pytest.mark.parametrize(
    ("changes", "target", "words"),
    [
        ({"r": 600}, "q_proj", "the rank is 600, and --max-lora-rank ends at 512"),
        ({"modules_to_save": ["lm_head"]}, "q_proj", r"modules_to_save is \['lm_head'\]"),
        ({"use_dora": True}, "q_proj", "DoRA"),
        ({"bias": "all"}, "q_proj", "biases"),
        ({}, "router", "router takes no adapter there"),
    ],
)
def test_what_vllm_refuses_is_found(changes: dict[str, Any], target: str, words: str, tmp_path: Path) -> None:
    import torch
    from luthier.delivery import choose
    from luthier.export import write_adapter

    tensors = {f"base_model.model.model.layers.0.x.{target}.lora_{side}.weight": torch.zeros(2, 2) for side in "AB"}
    write_adapter(tmp_path / "adapter", tensors, AdapterConfig(4, 8.0, (target,)))
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    unused: Any = None
    found = vllm_check(unused, tmp_path / "adapter", choose("peft"), unused)
    assert len(found.faults) == 1
    assert re.search(words, found.faults[0])


def test_vllm_takes_the_next_rank_that_it_allows() -> None:
    assert RANKS == (1, 8, 16, 32, 64, 128, 256, 320, 512)
    assert {"q_proj", "down_proj"} <= MODULES and "lm_head" not in MODULES


def test_the_gguf_package_stands_in_for_llama_cpp(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from luthier.delivery.loaders import with_llama_cpp

    monkeypatch.setattr(with_llama_cpp, "find_spec", lambda name: None)
    for format, count in (("gguf", 20), ("gguf-lora", 28)):
        found = checked(run, tmp_path / format, format=format, check=["llama.cpp"])
        assert found["version"].startswith("gguf ")
        assert f"the gguf package read all {count} tensors again" in found["said"]


def test_reading_again_finds_values_that_are_none(run: Run, tmp_path: Path) -> None:
    run.export(tmp_path / "out", "gguf", dtype="float32", verify=False)
    path = tmp_path / "out" / "model-F32.gguf"
    assert read_again(path).faults == ()
    tensor = next(tensor for tensor in gguf.GGUFReader(path).tensors if tensor.name == "output_norm.weight")
    with path.open("r+b") as stream:
        stream.seek(int(tensor.data_offset))
        stream.write(b"\x00\x00\xc0\x7f")
    assert read_again(path).faults == ("output_norm.weight holds values that are not finite",)


@pytest.mark.parametrize(
    "options",
    [
        {"format": "gguf", "dtype": "float32"},
        {"format": "gguf"},
        {"format": "gguf", "quant": "Q8_0"},
        {"format": "gguf", "quant": "Q4_K"},
        {"format": "gguf-lora"},
    ],
    ids=named,
)
def test_llama_cpp_answers_as_the_trained_model(options: dict[str, Any], run: Run, tmp_path: Path) -> None:
    need_llama_cpp()
    found = checked(run, tmp_path / "out", **options, check=["llama.cpp"])
    assert found["version"].startswith("xllamacpp ")
    assert found["positions"] > 5
    assert found["log_probability_error"] < found["base_log_probability_error"]
    if options["format"] == "gguf":
        assert "token ids equal in 5 rows" in found["said"]
    assert left_in(tmp_path) == ["out"]


@pytest.mark.parametrize(("kind", "asked"), [("F32", "95%"), ("Q8_0", "85%"), ("Q4_0", "85%")])
def test_llama_cpp_over_a_gguf_base(kind: str, asked: str, tmp_path: Path) -> None:
    need_llama_cpp()
    from luthier.export.gguf_model import GgufModel
    from luthier.models import load

    plain = load(make_tiny_model(tmp_path / "model", WIDE), dtype="float32")
    base = tmp_path / "base.gguf"
    GgufModel(plain.decoder, plain.tokenizer, plain.source, kind).write(base)
    run = make_case(tmp_path, base).fit("run")
    found = checked(run, tmp_path / "out", format="gguf-lora", check=["llama.cpp"])
    assert f"greedy tokens the same (at least {asked})" in found["said"]
    assert found["positions"] > 5
    assert found["log_probability_error"] < 0.1 * found["base_log_probability_error"]


def test_tokens_that_end_within_a_character_have_no_score() -> None:
    # As llama.cpp's server gives them: the token 7 is a part of a character, and 9 comes twice.
    scored = [{"id": 9, "logprob": -0.5}, {"id": 8, "logprob": -1.5}]
    assert with_scores([7, 9, 8, 9], scored) == [(7, None), (9, -0.5), (8, -1.5), (9, None)]
    assert with_scores([], []) == []


def test_a_file_that_llama_cpp_refuses_fails_the_export(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_llama_cpp()
    from luthier.delivery.loaders import with_llama_cpp

    ask = with_llama_cpp._ask

    def broken(job: dict[str, Any], place: Path) -> dict[str, Any]:
        Path(job["model"]).write_bytes(Path(job["model"]).read_bytes()[:5000])
        return ask(job, place)

    monkeypatch.setattr(with_llama_cpp, "_ask", broken)
    with pytest.raises(LuthierError, match=r"llama.cpp: it cannot load the files: exit status"):
        run.export(tmp_path / "out", "gguf", check=["llama.cpp"])
    assert left_in(tmp_path) == []
