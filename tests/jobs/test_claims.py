from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.claims import claim

HOLDER = """
import sys
from jobs.claims import claim
with claim(sys.argv[1], 3, patience_s=0) as is_own:
    print(is_own, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds shard 3 until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


@pytest.mark.parametrize("name", ["", "gone"])
def test_without_a_folder_everybody_may_begin(tmp_path: Path, name: str) -> None:
    folder = name and str(tmp_path / name)
    with claim(folder, 3, patience_s=0) as first, claim(folder, 3, patience_s=0) as second:
        assert first
        assert second


def test_a_shard_is_one_processs_and_others_are_free(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with claim(str(tmp_path), 3, patience_s=0) as held, claim(str(tmp_path), 4, patience_s=0) as other:
        assert not held
        assert other


def test_a_claim_is_over_with_its_context(tmp_path: Path) -> None:
    for _ in range(2):
        with claim(str(tmp_path), 3, patience_s=0) as is_own:
            assert is_own


def test_a_claim_ends_with_a_process_that_is_killed(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    threading.Timer(0.3, holder.kill).start()
    with claim(str(tmp_path), 3, patience_s=60) as is_own:
        assert is_own


def test_who_waits_goes_on_after_a_while(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    started_s = time.monotonic()
    with claim(str(tmp_path), 3, patience_s=0.2) as is_own:
        assert not is_own
    assert time.monotonic() - started_s >= 0.2


def test_a_folder_that_is_removed_meanwhile_ends_no_claim(tmp_path: Path) -> None:
    folder = tmp_path / "claims"
    folder.mkdir()
    with claim(str(folder), 3, patience_s=0) as is_own:
        (folder / "3").unlink()
        folder.rmdir()
        assert is_own
