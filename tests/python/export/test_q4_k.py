"""Blocks of Q4_K: the gguf package and the core read what we write, and it is closer than Q4_0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from luthier.export.q4_k import BLOCK_BYTES, quantize_q4_k
from luthier.formats import GgufFile, read_gguf_tensor

RANDOM = np.random.default_rng(7)
VALUES = {
    "normal": RANDOM.normal(size=(6, 768)),
    "above zero": np.abs(RANDOM.normal(size=(6, 768))),
    "below zero": -np.abs(RANDOM.normal(size=(6, 768))),
    "with outliers": RANDOM.standard_t(3, size=(6, 768)),
    "of different sizes": RANDOM.normal(size=(6, 768)) * np.repeat(2.0 ** np.arange(24), 32) / 2**23,
}


def read(blocks: Any) -> Any:
    return gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.Q4_K)


def error(values: Any, kind: str) -> float:
    blocks = quantize_q4_k(values) if kind == "Q4_K" else gguf.quants.quantize(values, gguf.GGMLQuantizationType[kind])
    return float(np.sqrt(np.mean((gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[kind]) - values) ** 2)))


@pytest.mark.parametrize("name", VALUES)
def test_values_come_back_closer_than_from_q4_0(name: str) -> None:
    values = VALUES[name].astype(np.float32)
    assert quantize_q4_k(values).shape == (6, 3 * BLOCK_BYTES)
    assert error(values, "Q4_K") < error(values, "Q4_0")
    assert error(values, "Q4_K") < 0.1 * float(np.sqrt(np.mean(values**2)))


def test_the_core_reads_the_same_values_as_the_gguf_package(tmp_path: Path) -> None:
    values = VALUES["with outliers"].astype(np.float32)
    blocks = quantize_q4_k(values)
    writer = gguf.GGUFWriter(tmp_path / "one.gguf", "llama")
    writer.add_tensor("values", blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    own = read_gguf_tensor(GgufFile(str(tmp_path / "one.gguf")), "values").numpy()
    assert np.array_equal(own, read(blocks))


@pytest.mark.parametrize("value", [0.0, 0.25, -0.25, 1e-7])
def test_equal_values_stay_equal(value: float) -> None:
    found = read(quantize_q4_k(np.full((2, 256), value, dtype=np.float32)))
    assert np.allclose(found, value, rtol=0.01, atol=1e-7)


def test_large_tensors_are_done_in_parts_with_the_same_bytes() -> None:
    values = RANDOM.normal(size=(9000, 256)).astype(np.float32)
    whole = quantize_q4_k(values)
    assert np.array_equal(whole[:10], quantize_q4_k(values[:10]))
    assert np.array_equal(whole[-10:], quantize_q4_k(values[-10:]))


def test_rows_of_no_whole_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="rows of 300 values"):
        quantize_q4_k(np.zeros((2, 300), dtype=np.float32))


@given(arrays.arrays(np.float32, (1, 256), elements=st.floats(-1000, 1000, width=32)))
def test_no_value_is_far_off(values: Any) -> None:
    found = read(quantize_q4_k(values))
    width = float(max(values.max(), 0) - min(values.min(), 0))
    assert np.isfinite(found).all()
    assert float(np.abs(found - values).max()) <= 0.15 * width + 1e-4
