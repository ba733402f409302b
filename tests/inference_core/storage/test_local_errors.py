from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from inference_core import storage
from inference_core.errors import MissingObjectError, StorageError
from inference_core.storage.local_errors import translate_os_error, translated


@pytest.mark.parametrize(
    ("number", "expected", "words"),
    [
        (errno.ENOENT, MissingObjectError, "nothing is stored at '/a'; check the path"),
        (errno.ENOTDIR, MissingObjectError, "nothing is stored at '/a': a file stands where a folder is needed"),
        (errno.EACCES, StorageError, "cannot access '/a': permission was denied; check the owner and mode"),
        (errno.ENOSPC, StorageError, "the disk is full; free space or write to another place"),
        (errno.EDQUOT, StorageError, "the disk quota is used up"),
        (errno.EROFS, StorageError, "read-only"),
        (errno.EMFILE, StorageError, "too many files are open; lower the concurrency"),
        (errno.EXDEV, StorageError, os.strerror(errno.EXDEV)),
    ],
)
def test_each_error_has_a_remedy(number: int, expected: type[StorageError], words: str) -> None:
    error = translate_os_error(OSError(number, os.strerror(number)), uri="/a")
    assert type(error) is expected
    assert words in str(error)
    assert error.uri == "/a"


def test_a_full_disk_says_so() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with (
        pytest.raises(StorageError, match="the disk is full; free space"),
        Path("/dev/full").open("wb", buffering=0) as full,
        translated("/a"),
    ):
        full.write(b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is denied to root")
def test_a_closed_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o000)
    with pytest.raises(StorageError, match="permission was denied"):
        storage.create(str(tmp_path / "closed/a"), b"")


def test_a_file_in_the_place_of_a_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        storage.create(str(tmp_path / "a/b"), b"")


def test_a_name_that_is_too_long_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the name is too long for the file system; shorten it"):
        storage.create(str(tmp_path / ("x" * 300)), b"")


def test_listing_a_name_that_is_too_long_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the name is too long"):
        list(storage.list_objects(str(tmp_path / ("x" * 300))))


def test_replacing_a_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(StorageError, match="it is a folder; name a file in it"):
        storage.replace(str(tmp_path / "a"), b"")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
