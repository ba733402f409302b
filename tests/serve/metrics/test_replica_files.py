from __future__ import annotations

import os
import stat
import tempfile
import time
from pathlib import Path

import pytest

from serve.metrics.names import IMAGES_TOTAL
from serve.metrics.replica_files import STALE_S, ReplicaFiles, shared_folder
from serve.metrics.tally import Snapshot


def snapshot(replica: str) -> Snapshot:
    return Snapshot(replica=replica, values={IMAGES_TOTAL.name: {("m", "ok"): 1.0}})


def test_the_others_are_read_and_not_oneself(tmp_path: Path) -> None:
    files = {name: ReplicaFiles(tmp_path, name) for name in ("a", "b", "c")}
    for name, own in files.items():
        own.write(snapshot(name))
    assert files["b"].read_others() == [snapshot("a"), snapshot("c")]
    files["a"].remove()
    files["a"].remove()
    assert files["b"].read_others() == [snapshot("c")]


def test_a_process_that_writes_no_more_is_gone(tmp_path: Path) -> None:
    own, other = ReplicaFiles(tmp_path, "a"), ReplicaFiles(tmp_path, "b")
    other.write(snapshot("b"))
    long_ago = time.time() - STALE_S - 1
    os.utime(tmp_path / "b.metrics.json", (long_ago, long_ago))
    assert own.read_others() == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"replica": "b"}'])
def test_what_is_no_snapshot_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.metrics.json").write_text(text)
    ReplicaFiles(tmp_path, "c").write(snapshot("c"))
    assert ReplicaFiles(tmp_path, "a").read_others() == [snapshot("c")]


def test_the_folder_is_this_users_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = shared_folder(8000)
    assert folder is not None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert shared_folder(8000) == folder
    assert shared_folder(8001) != folder


@pytest.mark.parametrize("trap", ["open-to-others", "a-link", "a-file"])
def test_a_folder_that_somebody_else_laid_there_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trap: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = tmp_path / f"millrace-{os.getuid()}-8000"
    if trap == "open-to-others":
        place.mkdir(mode=0o777)
        place.chmod(0o777)
    elif trap == "a-link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "theirs")
    else:
        place.write_text("")
    assert shared_folder(8000) is None
