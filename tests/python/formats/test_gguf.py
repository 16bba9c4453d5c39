"""GGUF files: metadata, tensors and block types agree with the `gguf` package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader, GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from luthier import _core
from luthier.formats import GgufFile, read_gguf_tensor

BLOCK_TYPES = [Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.Q4_K, Type.Q5_K, Type.Q6_K]
FLOAT_TYPES = [Type.F32, Type.F16, Type.BF16]
QUANTIZABLE = [Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0]

METADATA: dict[str, Any] = {
    "uint8": 200,
    "int8": -100,
    "uint16": 60000,
    "int16": -30000,
    "uint32": 4_000_000_000,
    "int32": -5,
    "uint64": 2**64 - 1,
    "int64": -(2**63),
    "float32": 1.5,
    "float64": 0.1,
    "bool": True,
    "string": "h\u00e9 \u4e2d \U0001f600",
}
ARRAYS: dict[str, list[Any]] = {
    "a.int": [1, -2, 3],
    "a.float": [1.5, -2.5],
    "a.bool": [True, False],
    "a.string": ["", "a", "\u0120the"],
}


def write_gguf(path: Path, tensors: dict[str, tuple[Type, np.ndarray[Any, Any]]]) -> None:
    """Writes METADATA, ARRAYS and tensors given as stored bytes [rows, bytes per row]."""
    writer = GGUFWriter(path, "llama")
    for name, value in METADATA.items():
        getattr(writer, f"add_{name}")(name, value)
    for name, values in ARRAYS.items():
        writer.add_array(name, values)
    for name, (kind, stored) in tensors.items():
        writer.add_tensor(name, stored, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def as_array(file: GgufFile, name: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.frombuffer(file.dequantize(name), np.float32).reshape(shape)


def assert_same_bits(got: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    assert got.shape == expected.shape
    number = ~np.isnan(expected)
    assert np.array_equal(np.isnan(got), ~number)
    assert np.array_equal(got.view(np.uint32)[number], expected.view(np.uint32)[number])


def expected_values(stored: np.ndarray[Any, Any], kind: Type) -> np.ndarray[Any, Any]:
    with np.errstate(invalid="ignore", over="ignore"):
        return gguf.quants.dequantize(stored, kind)


def assert_agrees(path: Path) -> GgufFile:
    """Compares everything in a file with the package's reader, bit for bit."""
    file, reference = GgufFile(str(path)), GGUFReader(path)
    expected = {n: f.contents() for n, f in reference.fields.items() if not n.startswith("GGUF.")}
    assert file.metadata == expected and list(file.metadata) == list(expected)
    shapes = {t.name: tuple(int(size) for size in reversed(t.shape)) for t in reference.tensors}
    assert file.tensors == [(t.name, t.tensor_type.name, shapes[t.name]) for t in reference.tensors]
    for tensor in reference.tensors:
        values = expected_values(tensor.data, tensor.tensor_type)
        assert_same_bits(as_array(file, tensor.name, shapes[tensor.name]), values.reshape(shapes[tensor.name]))
        assert bytes(file.bytes(tensor.name)) == tensor.data.tobytes()
    return file


def test_every_type_of_metadata_and_tensor_agrees(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    tensors = {}
    for kind in QUANTIZABLE + FLOAT_TYPES:
        values = random.standard_normal((3, 5, 256), np.float32) * 0.1
        tensors[f"blk.{kind.name}.weight"] = (kind, gguf.quants.quantize(values, kind))
    for kind in BLOCK_TYPES:
        stored = random.integers(0, 256, (7, 2 * gguf.GGML_QUANT_SIZES[kind][1]), np.uint8)
        tensors[f"random.{kind.name}"] = (kind, stored)
    write_gguf(tmp_path / "a.gguf", tensors)
    file = assert_agrees(tmp_path / "a.gguf")
    for name, value in (METADATA | ARRAYS).items():
        assert file.metadata[name] == value


@pytest.mark.parametrize("kind", BLOCK_TYPES + FLOAT_TYPES, ids=lambda kind: kind.name)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 4), blocks=st.integers(1, 4))
def test_any_bytes_dequantise_to_the_same_bits(tmp_path: Path, kind: Type, seed: int, rows: int, blocks: int) -> None:
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    stored = np.random.default_rng(seed).integers(0, 256, (rows, blocks * size), np.uint8)
    typed = stored.view({Type.F32: np.float32, Type.F16: np.float16}.get(kind, np.uint8))
    write_gguf(tmp_path / "a.gguf", {"t": (kind, typed)})
    got = as_array(GgufFile(str(tmp_path / "a.gguf")), "t", (rows, blocks * elements))
    assert_same_bits(got, expected_values(typed, kind))


def test_every_half_is_right(tmp_path: Path) -> None:
    halves = np.arange(65536, dtype=np.uint16).view(np.float16).reshape(256, 256)
    write_gguf(tmp_path / "a.gguf", {"t": (Type.F16, halves)})
    assert_same_bits(as_array(GgufFile(str(tmp_path / "a.gguf")), "t", (256, 256)), halves.astype(np.float32))


def test_tensors_come_in_the_order_of_torch(tmp_path: Path) -> None:
    write_gguf(tmp_path / "a.gguf", {"t": (Type.F32, np.arange(6, dtype=np.float32).reshape(2, 3))})
    assert read_gguf_tensor(GgufFile(str(tmp_path / "a.gguf")), "t").tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_type_that_cannot_be_dequantised_is_named(tmp_path: Path) -> None:
    size = gguf.GGML_QUANT_SIZES[Type.IQ4_XS][1]
    write_gguf(tmp_path / "a.gguf", {"t": (Type.IQ4_XS, np.zeros((2, size), np.uint8))})
    file = GgufFile(str(tmp_path / "a.gguf"))
    assert file.tensors == [("t", "IQ4_XS", (2, 256))]
    with pytest.raises(_core.InputError, match='tensor "t": its type IQ4_XS cannot be dequantised'):
        file.dequantize("t")
    with pytest.raises(_core.InputError, match='a.gguf: has no tensor "u"'):
        file.dequantize("u")


def test_a_real_model_agrees() -> None:
    folder = Path(os.environ.get("LUTHIER_CACHE", "~/.cache/luthier")).expanduser()
    found = sorted(folder.glob("**/SmolLM2-135M-Instruct.Q4_1.gguf"))
    if not found:
        pytest.skip("SmolLM2 is not in the folder that LUTHIER_CACHE names")
    file = assert_agrees(found[0])
    assert len(file.tensors) == 272
    assert file.metadata["general.architecture"] == "llama"


def opens(path: Path, data: bytes) -> bool:
    """Whether the file opens and reads; anything but success and InputError fails the test."""
    path.write_bytes(data)
    try:
        file = GgufFile(str(path))
        assert isinstance(file.metadata, dict)
        for name, kind, _ in file.tensors:
            bytes(file.bytes(name))
            if kind in {t.name for t in BLOCK_TYPES + FLOAT_TYPES}:
                file.dequantize(name)
    except _core.InputError:
        return False
    return True


@pytest.fixture(scope="module")
def valid_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "a.gguf"
    stored = gguf.quants.quantize(np.ones((2, 64), np.float32), Type.Q4_0)
    write_gguf(path, {"q": (Type.Q4_0, stored), "f": (Type.F32, np.ones((2, 3), np.float32))})
    return path.read_bytes()


def test_every_truncation_is_an_input_error(tmp_path: Path, valid_file: bytes) -> None:
    path = tmp_path / "a.gguf"
    assert opens(path, valid_file)
    # The writer pads the last tensor: what ends within its padding has lost nothing.
    lengths = [size for size in range(len(valid_file)) if opens(path, valid_file[:size])]
    assert all(size >= len(valid_file) - 8 for size in lengths)


numbers = st.integers(0, 255) | st.sampled_from([2**31, 2**32 - 1, 2**32, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 1])


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_files_are_read_or_are_input_errors(tmp_path: Path, valid_file: bytes, data: st.DataObject) -> None:
    changed = bytearray(valid_file)
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(valid_file) - 1))
        width = data.draw(st.sampled_from([1, 4, 8]))
        changed[position : position + width] = (data.draw(numbers) % 256**width).to_bytes(width, "little")
    opens(tmp_path / "a.gguf", bytes(changed))
