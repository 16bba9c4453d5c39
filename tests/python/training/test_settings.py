"""Settings: flat names, precedence, and errors that name the key and what it may be."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.errors import InputError
from luthier.training.settings import KEYS, Full, Lora, adapter_values, compose, flatten
from luthier.training.settings_sources import merge_settings, parse_assignments, read_settings_file

BASE = {"model": "m", "out": "o"}


def test_defaults_are_those_of_the_contract() -> None:
    flat = flatten(compose(BASE))
    expected = {
        "adapter": "lora", "rank": 16, "alpha": 32.0, "targets": ["all-linear"], "epochs": 1.0,
        "batch_size": 16, "learning_rate": 5e-4, "schedule": "cosine", "warmup": 0.03, "weight_decay": 0.0,
        "clip": 1.0, "max_length": 1024, "dtype": "bfloat16", "seed": 0, "order": "shuffled",
        "rslora": False, "steps": None, "skip_bad": False,
    }  # fmt: skip
    assert {key: flat[key] for key in expected} == expected


def test_flatten_and_compose_are_inverse() -> None:
    settings = compose({**BASE, "targets": "q_proj,v_proj", "rank": "8", "learning_rate": "1e-3", "resume": True})
    again = compose({**flatten(settings), "resume": True})
    assert again == settings


def test_full_fine_tuning_has_its_own_learning_rate_and_no_rank() -> None:
    settings = compose({**BASE, "adapter": "full"})
    assert isinstance(settings.adapter, Full)
    assert settings.optimizer.learning_rate == 2e-5
    assert "rank" not in flatten(settings)
    with pytest.raises(InputError, match="'rank' belongs to adapter 'lora'"):
        compose({**BASE, "adapter": "full", "rank": 8})


def test_micro_tokens_is_at_least_max_length() -> None:
    assert compose(BASE).run.micro_tokens == 4096
    assert compose({**BASE, "max_length": 9000}).run.micro_tokens == 9000
    assert compose({**BASE, "max_length": 9000, "micro_tokens": 100}).run.micro_tokens == 100


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("rank", 0, "'rank' is 0; it must be a whole number from 1 to 4096"),
        ("rank", "sixteen", "'rank' is sixteen; it must be a whole number"),
        ("alpha", -1, "'alpha' is -1; it must be a number above 0"),
        ("warmup", 1.5, "'warmup' is 1.5; it must be a number from 0 to 1"),
        ("learning_rate", float("nan"), "'learning-rate' is nan; it must be a number above 0 to 1"),
        ("schedule", "step", "'schedule' is step; it must be one of cosine, linear, constant"),
        ("dtype", "float16", "'dtype' is float16; it must be one of bfloat16, float32"),
        ("adapter", "dora", "'adapter' is dora; it must be one of lora, full"),
        ("steps", 0, "'steps' is 0; it must be a whole number from 1"),
        ("threads", 0, "'threads' is 0; it must be a whole number from 1 to 4096"),
        ("steps", True, "'steps' is True; it must be a whole number"),
        ("resume", "perhaps", "'resume' is perhaps; it must be true or false"),
        ("targets", [], "'targets' is .*; it must be a list of module names, or all-linear"),
        ("model", "", "'model' is ; it must be text"),
    ],
)
def test_a_value_out_of_range_names_key_and_range(key: str, value: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        compose({**BASE, key: value})


def test_unknown_key_names_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown key 'learning-rte'; did you mean 'learning-rate'"):
        compose({**BASE, "learning-rte": 1})
    with pytest.raises(InputError, match="unknown key 'zzzz'; known keys: "):
        compose({**BASE, "zzzz": 1})


def test_model_and_out_are_needed() -> None:
    with pytest.raises(InputError, match="'model' is missing"):
        compose({"out": "o"})
    with pytest.raises(InputError, match="'out' is missing"):
        compose({"model": "m"})


def test_resume_and_overwrite_exclude_each_other() -> None:
    with pytest.raises(InputError, match="exclude each other"):
        compose({**BASE, "resume": True, "overwrite": True})


def test_flags_win_over_set_and_set_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "fit.yaml"
    file.write_text("rank: 1\nalpha: 1\nbatch-size: 1\nlearning-rate: 5e-3\nmodel: m\nout: o\n")
    merged = merge_settings({"rank": 3, "seed": None}, ["rank=2", "alpha=2"], file)
    settings = compose(merged)
    assert isinstance(settings.adapter, Lora)
    assert (settings.adapter.rank, settings.adapter.alpha, settings.optimizer.batch_size) == (3, 2.0, 1)
    assert settings.optimizer.learning_rate == 5e-3


def test_set_reads_lists_numbers_and_nothing() -> None:
    assert parse_assignments(["targets=[q_proj, v_proj]", "steps=10", "system="]) == {
        "targets": ["q_proj", "v_proj"],
        "steps": 10,
        "system": None,
    }
    with pytest.raises(InputError, match="write key=value"):
        parse_assignments(["rank"])
    with pytest.raises(InputError, match="--set: unknown key 'rnk'; did you mean 'rank'"):
        parse_assignments(["rnk=1"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rank: 1\nranks: 2\n", r"fit.yaml:2: unknown key 'ranks'; did you mean 'rank'"),
        ("batch_size: 1\nbatch-size: 2\n", r"fit.yaml:2: 'batch-size' is given twice"),
        ("rank: [1\n", r"fit.yaml:\d: not valid YAML"),
        ("- rank\n", "a list of 'key: value' lines"),
        ("just text", "a list of 'key: value' lines"),
        ("rank: 1\x00", "not valid YAML"),
    ],
)
def test_a_settings_file_that_is_wrong_says_where(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "fit.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=words):
        read_settings_file(file)


def test_a_settings_file_that_is_missing_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no.yaml: cannot read"):
        read_settings_file(tmp_path / "no.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"rank: \xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        read_settings_file(tmp_path / "bytes.yaml")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_settings_file(tmp_path / "empty.yaml") == {}


@given(st.text(max_size=60))
def test_no_text_makes_the_settings_reader_fail_otherwise(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.mktemp("yaml") / "fit.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(InputError):
        assert set(read_settings_file(file)) <= set(KEYS)


@given(
    st.sampled_from(KEYS),
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text())),
)
def test_no_value_makes_compose_fail_otherwise(key: str, value: object) -> None:
    try:
        flatten(compose({**BASE, key: value}))
    except InputError as error:
        assert key.replace("_", "-") in str(error)


def test_an_adapter_object_gives_only_what_was_set() -> None:
    assert adapter_values(Lora(rank=8, init="a")) == {"adapter": "lora", "rank": 8, "adapter_init": "a"}
    assert adapter_values(Full()) == {"adapter": "full"}
