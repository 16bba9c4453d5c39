"""Sizes that a file claims are never allocated: hostile files are refused with little memory and at once."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

MAXIMUM = 2**64 - 1

# Opens each file with at most 64 MB of address space more than the interpreter has.
SCRIPT = """
import resource, sys
from luthier import _core
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 64 * 2**20,) * 2)
for path in sys.argv[1:]:
    opener = _core.GgufFile if path.endswith("gguf") else _core.SafetensorsFile
    try:
        opener(path)
        print("opened", path)
    except _core.InputError:
        print("refused")
"""


def refused(paths: list[Path]) -> bool:
    run = [sys.executable, "-c", SCRIPT, *map(str, paths)]
    printed = subprocess.run(run, check=True, capture_output=True, text=True, timeout=60).stdout
    return printed.splitlines() == ["refused"] * len(paths)


def test_gguf_claims_are_not_allocated(tmp_path: Path) -> None:
    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    def head(tensors: int, entries: int) -> bytes:
        return b"GGUF" + struct.pack("<IQQ", 3, tensors, entries)

    key, rest = text(b"k"), bytes(1000)
    files = [head(0, MAXIMUM) + rest, head(MAXIMUM, 0) + rest, head(2**32, 2**32) + rest]
    for size in (MAXIMUM, 2**63, 2**61, 2**40, 2**32 - 1, 1001):
        files.append(head(0, 1) + struct.pack("<Q", size) + rest)
        files.append(head(0, 1) + key + struct.pack("<IQ", 8, size) + rest)
        files += [head(0, 1) + key + struct.pack("<IIQ", 9, element, size) + rest for element in range(13)]
        files.append(head(1, 0) + key + struct.pack("<IQIQ", 1, size, 0, 0) + bytes(64))
        files.append(head(1, 0) + key + struct.pack("<IQIQ", 1, 1, 0, size) + bytes(64))
        files.append(head(1, 0) + key + struct.pack("<I", min(size, 2**32 - 1)) + rest)
    files.append(head(0, 1) + key + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 1_000_000)
    paths = [tmp_path / f"{i}.gguf" for i in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    assert refused(paths)


def test_safetensors_claims_are_not_allocated(tmp_path: Path) -> None:
    def file(header: bytes, length: int | None = None) -> bytes:
        return struct.pack("<Q", len(header) if length is None else length) + header

    def tensor(shape: list[int], offsets: list[int]) -> bytes:
        return json.dumps({"t": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).encode()

    files = [file(b"{}", length) for length in (MAXIMUM, MAXIMUM - 7, 2**63, 2**32, 100_000_000, 3)]
    files += [
        file(tensor([2**40], [0, 2**42])),
        file(tensor([2**62, 2**62], [0, 0])),
        file(tensor([1] * 100_000, [0, 4])),
    ]
    files += [file(b'{"t":' + b"[" * 1_000_000), file(b'{"t":{"shape":' + b'{"a":' * 1_000_000)]
    files += [file(b'{"t":{"more":[' + b"0," * 5_000_000 + b"0]}}")]
    paths = [tmp_path / f"{i}.safetensors" for i in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    assert refused(paths)
