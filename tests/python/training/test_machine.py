"""What the machine has left, read from the files of the kernel."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest
from luthier.training.machine import available_bytes, free_disk_bytes, peak_resident_bytes, resident_bytes

GIGABYTE = 1 << 30


def proc(folder: Path, available: int, groups: str) -> Path:
    """A /proc of a machine with so many bytes available and these control groups."""
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable:   {available // 1024} kB\n")
    (folder / "proc" / "self" / "cgroup").write_text(groups)
    return folder / "proc"


def group(folder: Path, names: tuple[str, str], limit: str, usage: int, stat: str) -> None:
    """A control group's files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(stat)


V2 = ("memory.max", "memory.current")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")


def test_without_control_groups_the_kernel_says_what_is_available(tmp_path: Path) -> None:
    files = proc(tmp_path, 3 * GIGABYTE, "")
    assert available_bytes(files, tmp_path / "cgroup") == 3 * GIGABYTE
    (files / "self" / "cgroup").unlink()
    assert available_bytes(files, tmp_path / "cgroup") == 3 * GIGABYTE


@pytest.mark.parametrize("root", ["cgroup", "cgroup/unified"])
def test_the_limit_of_any_group_around_the_process_holds(tmp_path: Path, root: str) -> None:
    files = proc(tmp_path, 50 * GIGABYTE, "0::/pod/container\n")
    group(tmp_path / root / "pod" / "container", V2, "max", 5, "inactive_file 0\n")
    group(tmp_path / root / "pod", V2, str(8 * GIGABYTE), 3 * GIGABYTE, f"anon 1\ninactive_file {GIGABYTE}\n")
    assert available_bytes(files, tmp_path / "cgroup") == 6 * GIGABYTE


def test_version_1_has_its_limits_under_other_names(tmp_path: Path) -> None:
    files = proc(tmp_path, 50 * GIGABYTE, "5:cpu,cpuacct:/a\n4:hugetlb,memory:/a\n0::/\n")
    group(tmp_path / "cgroup" / "memory" / "a", V1, str(4 * GIGABYTE), GIGABYTE, "total_inactive_file 0\n")
    group(tmp_path / "cgroup" / "memory", V1, str(1 << 62), GIGABYTE, "total_inactive_file 0\n")
    assert available_bytes(files, tmp_path / "cgroup") == 3 * GIGABYTE


def test_a_group_that_is_over_its_limit_leaves_nothing(tmp_path: Path) -> None:
    files = proc(tmp_path, 50 * GIGABYTE, "0::/\n")
    group(tmp_path / "cgroup", V2, str(GIGABYTE), 2 * GIGABYTE, "anon 7\n")
    assert available_bytes(files, tmp_path / "cgroup") == 0


def test_this_process_is_resident() -> None:
    # Pages of a mapping of its own: an allocator may hand out pages that an earlier test left resident.
    size = 64 << 20
    with mmap.mmap(-1, size) as block:
        before = resident_bytes()
        block.write(b"x" * size)
        assert resident_bytes() - before > size // 2
    assert peak_resident_bytes() >= size


def test_free_space_is_that_of_the_nearest_folder_there_is(tmp_path: Path) -> None:
    assert free_disk_bytes(tmp_path / "not" / "made" / "yet") > 0
