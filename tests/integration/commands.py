"""Runs as a user starts them: in a process of their own, watched and, where a test says so, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def run_arguments(model: Any, inputs: list[Any], output: Any, *assignments: str) -> list[str]:
    """The arguments of ``run``."""
    named = [part for uri in inputs for part in ("--input", str(uri))]
    sets = [part for assignment in assignments for part in ("--set", assignment)]
    return ["run", "--model", str(model), *named, "--output", str(output), *sets]


def command(*arguments: str, watch: Callable[[int], None] | None = None, err_file: Path | None = None) -> Ended:
    """Run ``python -m jobs`` to its end.

    Args:
        arguments: of the command.
        watch: called again and again with the process's id while it runs.
        err_file: where standard error goes, for those who look at it meanwhile.
    """
    with TemporaryFile("w+") as out, err_file.open("w+") if err_file else TemporaryFile("w+") as err:
        process = subprocess.Popen([sys.executable, "-m", "jobs", *arguments], cwd=ROOT, stdout=out, stderr=err)
        deadline_s = time.monotonic() + PATIENCE_S
        while process.poll() is None and time.monotonic() < deadline_s:
            if watch is not None:
                watch(process.pid)
            time.sleep(0.02)
        if process.poll() is None:
            process.kill()
        code = process.wait()
        out.seek(0)
        err.seek(0)
        return Ended(code=code, out=out.read(), err=err.read())


def run_until(arguments: list[str], is_time: Callable[[], bool], *, number: signal.Signals) -> tuple[int, set[int]]:
    """Start ``python -m jobs``, send it a signal when it is time, and wait for its end.

    Returns:
        Its exit code and the processes that it had started, directly or not, when the signal was sent.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "jobs", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as driver:
        deadline_s = time.monotonic() + PATIENCE_S
        while not is_time():
            assert driver.poll() is None, f"the command ended with {driver.returncode} before its time"
            assert time.monotonic() < deadline_s, "the time never came"
            time.sleep(0.001)
        started = descendants(driver.pid)
        driver.send_signal(number)
        return driver.wait(PATIENCE_S), started


def descendants(pid: int) -> set[int]:
    """The processes below one, as far as their parents live."""
    children: dict[int, list[int]] = {}
    for found in living():
        children.setdefault(parent_of(found), []).append(found)
    below: set[int] = set()
    waiting = [pid]
    while waiting:
        own = children.get(waiting.pop(), [])
        below.update(own)
        waiting.extend(own)
    return below


def living() -> list[int]:
    """All processes that are not dead already."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and is_alive(int(path.name))]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    return status_of(pid).get("State", "Z")[0] not in "ZX"


def parent_of(pid: int) -> int:
    """The parent of a process, 0 where it is gone."""
    return int(status_of(pid).get("PPid", "0"))


def own_memory_bytes(pid: int) -> int:
    """Memory that a process shares with no file and no other process; 0 where it is gone."""
    return int(status_of(pid).get("RssAnon", "0 kB").split()[0]) * 1024


def status_of(pid: int) -> dict[str, str]:
    """What Linux tells of a process."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key: value.strip() for key, value in pairs}


RAYS_AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
"""They look for a killed Ray only now and then and end by themselves, after a minute or more; they do no work."""


def wait_until_gone(pids: set[int], *, timeout_s: float) -> set[int]:
    """The processes that are still there after a time, but for Ray's agents."""
    deadline_s = time.monotonic() + timeout_s
    while (left := {pid for pid in pids if is_alive(pid) and not name_of(pid).startswith(RAYS_AGENTS)}) and (
        time.monotonic() < deadline_s
    ):
        time.sleep(0.1)
    return left


def name_of(pid: int) -> str:
    """The command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def commits(output: Path) -> int:
    """How many shards of a run on this machine are committed."""
    try:
        return sum(name.endswith(".json") and not name.startswith(".") for name in os.listdir(output / "_commits"))  # noqa: PTH208
    except FileNotFoundError:
        return 0
