"""Safetensors files: what we write and read equals what the `safetensors` package reads and writes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from luthier import _core
from luthier.formats import SafetensorsFile, read_safetensors, write_safetensors

DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint64,
    torch.uint32,
    torch.uint16,
    torch.uint8,
    torch.bool,
]


def random_tensor(dtype: torch.dtype, shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = torch.empty(shape).numel() * torch.empty(0, dtype=dtype).element_size()
    raw = torch.randint(0, 2 if dtype == torch.bool else 256, (size,), dtype=torch.uint8, generator=generator)
    return raw.view(dtype).reshape(shape)


def raw_bytes(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).tolist())


def assert_same(got: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert got.keys() == expected.keys()
    for name, tensor in expected.items():
        assert got[name].dtype == tensor.dtype and got[name].shape == tensor.shape, name
        assert raw_bytes(got[name]) == raw_bytes(tensor), name


def every_dtype() -> dict[str, torch.Tensor]:
    tensors = {str(dtype): random_tensor(dtype, (3, 5), seed) for seed, dtype in enumerate(DTYPES)}
    return tensors | {"scalar": torch.tensor(2.5), "empty": torch.empty(0, 4), 'quote " é': torch.arange(3)}


def test_the_package_reads_what_we_write(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a", every_dtype(), {"format": "pt", "é\n": '"'})
    assert_same(safetensors.torch.load_file(tmp_path / "a"), every_dtype())
    with safetensors.safe_open(tmp_path / "a", "pt") as file:
        assert file.metadata() == {"format": "pt", "é\n": '"'}


def test_we_read_what_the_package_writes(tmp_path: Path) -> None:
    safetensors.torch.save_file(every_dtype(), tmp_path / "a", {"format": "pt", "é\n": '"'})
    assert_same(read_safetensors(tmp_path / "a"), every_dtype())
    assert SafetensorsFile(str(tmp_path / "a")).metadata == {"format": "pt", "é\n": '"'}


def test_writes_the_same_bytes_as_the_package(tmp_path: Path) -> None:
    # Of different sizes: the package orders types of equal size in its own way.
    kinds = [torch.uint8, torch.float32, torch.bfloat16]
    tensors = {f"layer.{i}.{kind}": torch.full((i + 1, 3), i, dtype=kind) for i in range(12) for kind in kinds}
    shuffled = random.Random(0).sample(sorted(tensors), len(tensors))
    write_safetensors(tmp_path / "ours", {name: tensors[name] for name in shuffled}, {"format": "pt"})
    safetensors.torch.save_file(tensors, tmp_path / "theirs", {"format": "pt"})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_writes_tensors_of_any_layout(tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {
        "t": base.t(),
        "slice": base[1:3, ::2],
        "grad": torch.nn.Parameter(base),
        "expanded": base[:, :1].expand(4, 3),
    }
    write_safetensors(tmp_path / "a", tensors)
    assert_same(read_safetensors(tmp_path / "a"), {name: t.detach() for name, t in tensors.items()})


def test_read_tensors_are_writable_and_outlive_the_file(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a", {"w": torch.ones(5)})
    tensors = read_safetensors(tmp_path / "a")
    (tmp_path / "a").unlink()
    tensors["w"] += 1
    assert tensors["w"].tolist() == [2.0] * 5


def test_a_view_of_the_bytes_keeps_the_file(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a", {"w": torch.arange(5, dtype=torch.uint8), "none": torch.empty(0)})
    view, nothing = (SafetensorsFile(str(tmp_path / "a")).bytes(name) for name in ("w", "none"))
    (tmp_path / "a").unlink()
    assert view.readonly and bytes(view) == bytes(range(5)) and bytes(nothing) == b""


def test_reads_a_folder_of_shards(tmp_path: Path) -> None:
    tensors = every_dtype()
    shards = {name: f"model-{i % 3 + 1:05}-of-00003.safetensors" for i, name in enumerate(tensors)}
    for shard in set(shards.values()):
        part = {name: tensor for name, tensor in tensors.items() if shards[name] == shard}
        safetensors.torch.save_file(part, tmp_path / shard)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": shards}))
    assert_same(read_safetensors(tmp_path), tensors)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(_core.InputError, match=r"model-00002-of-00003.safetensors: is missing.*tensors, the first"):
        read_safetensors(tmp_path)


def test_errors_name_file_and_tensor(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a", {"w": torch.ones(2)})
    with pytest.raises(_core.InputError, match=r'/a: has no tensor "v"'):
        SafetensorsFile(str(tmp_path / "a")).info("v")
    with pytest.raises(_core.InputError, match='tensor "w": the type "torch.complex64" is unknown'):
        write_safetensors(tmp_path / "b", {"w": torch.ones(2, dtype=torch.complex64)})
    with pytest.raises(_core.InputError, match="no/a: cannot be created: No such file or directory"):
        write_safetensors(tmp_path / "no" / "a", {})
    with pytest.raises(_core.Error, match="takes 8 bytes, not 4"):
        _core.write_safetensors(str(tmp_path / "b"), {"w": ("F32", [2], b"1234")})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    script = """
import resource, sys, torch
from luthier.errors import LuthierError
from luthier.formats import write_safetensors
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))   # stands for a full disk
try:
    write_safetensors(sys.argv[1], {"w": torch.ones(100_000)})
except LuthierError as error:
    print(error)
"""
    (tmp_path / "a").write_text("old")
    run = [sys.executable, "-c", script, str(tmp_path / "a")]
    printed = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    assert "a: cannot be written: File too large; free some space" in printed
    assert (tmp_path / "a").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def valid_file() -> bytes:
    tensors = {"a": torch.arange(6, dtype=torch.float32).reshape(2, 3), "b": torch.ones(3, dtype=torch.uint8)}
    return safetensors.torch.save(tensors, {"format": "pt"})


def opens(path: Path, data: bytes) -> bool:
    """Whether the file opens; anything but success and InputError fails the test."""
    path.write_bytes(data)
    try:
        file = SafetensorsFile(str(path))
    except _core.InputError:
        return False
    for name in file.names():
        file.info(name), bytes(file.bytes(name))
    return True


def test_every_truncation_is_an_input_error(tmp_path: Path) -> None:
    data = valid_file()
    assert opens(tmp_path / "a", data)
    assert not any(opens(tmp_path / "a", data[:size]) for size in range(len(data)))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, len(valid_file()) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_open_only_where_the_package_opens_them(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(valid_file())
    for position, byte in changes:
        data[position] = byte
    if opens(tmp_path / "a", bytes(data)):
        safetensors.torch.load(bytes(data))  # must not raise


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
sizes = st.integers(-2, 12) | st.sampled_from([2**31, 2**32, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64])
entries = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "U8", "BF16", "F4", ""]) | json_values,
        "shape": st.lists(sizes, max_size=4) | json_values,
        "data_offsets": st.lists(sizes, min_size=2, max_size=2) | json_values,
        "more": json_values,
    },
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.dictionaries(st.sampled_from(["a", "b", "c", "__metadata__"]), entries | json_values, max_size=3),
    length=st.none() | sizes,
    data=st.binary(max_size=20),
)
def test_any_header_is_read_or_is_an_input_error(
    tmp_path: Path, header: dict[str, object], length: int | None, data: bytes
) -> None:
    text = json.dumps(header).encode()
    size = len(text) if length is None else length % 2**64
    opens(tmp_path / "a", size.to_bytes(8, "little") + text + data)
