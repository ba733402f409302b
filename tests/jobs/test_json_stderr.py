"""What a process writes to its standard error, by whatever way, comes out as JSON: tried in real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from inference_core.errors import ConfigError
from jobs.json_stderr import json_stderr

ROOT = Path(__file__).resolve().parents[2]
BEGIN = """
import ctypes, logging, os, subprocess, sys, warnings
from inference_core.errors import ConfigError, JobError
from jobs.json_stderr import json_stderr
from jobs.json_events import write_event
import typer
try:
    with json_stderr(is_on=True):
"""
END = """
except typer.Exit as exc:
    sys.exit(exc.exit_code)  # as the command line does
"""


def events_of(body: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, events on standard error, and standard output of a process."""
    indented = "".join(f"        {line}\n" for line in body.splitlines())
    code = BEGIN + indented + END
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, [json.loads(line) for line in done.stderr.splitlines()], done.stdout


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("write_event('plan', {'n': 1})", {"event": "plan", "n": 1}, id="an-event-passes"),
        pytest.param("print('hello', file=sys.stderr)", {"event": "output", "message": "hello"}, id="print"),
        pytest.param("os.write(2, b'half a line')", {"event": "output", "message": "half a line"}, id="no-newline"),
        pytest.param(r"os.write(2, b'\xff\n')", {"event": "output", "message": "\ufffd"}, id="no-utf-8"),
        pytest.param(r"""os.write(2, b'"a string"\n')""", {"event": "output", "message": '"a string"'}, id="no-object"),
        pytest.param(
            "libc = ctypes.CDLL(None)\nlibc.perror(b'native')\nlibc.fflush(None)",
            {"event": "output"},
            id="native-code",
        ),
        pytest.param(
            "subprocess.run([sys.executable, '-c', 'import sys; sys.stderr.write(chr(120))'])",
            {"event": "output", "message": "x"},
            id="a-child",
        ),
        pytest.param(
            "logging.getLogger('ray').warning('a\\nb')",
            {"event": "log", "level": "warning", "logger": "ray", "message": "a\nb"},
            id="logging",
        ),
        pytest.param(
            "warnings.warn('old', stacklevel=1)", {"event": "log", "logger": "py.warnings"}, id="python-warns"
        ),
    ],
)
def test_every_line_is_an_object(body: str, expected: dict[str, Any]) -> None:
    code, events, out = events_of(body)
    assert (code, out, len(events)) == (0, "", 1)
    assert events[0].items() >= expected.items()
    assert "time" in events[0]


@pytest.mark.parametrize(
    ("body", "code", "expected"),
    [
        pytest.param(
            "raise ConfigError('must be x', key='a.b')",
            2,
            {"event": "error", "kind": "ConfigError", "key": "a.b", "message": "a.b: must be x", "exit_code": 2},
            id="a-setting",
        ),
        pytest.param("raise JobError('it stopped')", 1, {"event": "error", "kind": "JobError"}, id="a-run"),
        pytest.param(
            "raise ConfigError('cannot read s3://key:secret@bucket/x')",
            2,
            {"message": "cannot read s3://***@bucket/x"},
            id="secrets-are-masked",
        ),
        pytest.param("raise KeyboardInterrupt", 130, {"event": "error", "kind": "KeyboardInterrupt"}, id="ctrl-c"),
        pytest.param("{}['x']", 1, {"event": "error", "kind": "KeyError"}, id="a-bug"),
        pytest.param("sys.exit(143)", 143, {"event": "stopped", "exit_code": 143}, id="sigterm"),
    ],
)
def test_the_end_is_an_event_too(body: str, code: int, expected: dict[str, Any]) -> None:
    found, events, _ = events_of(body)
    assert (found, len(events)) == (code, 1)
    assert events[0].items() >= expected.items()


def test_the_text_that_was_under_way_when_a_process_dies_comes_out() -> None:
    _, events, _ = events_of("os.write(2, b'last words')\nos.abort()")
    assert [event["message"] for event in events] == ["last words"]


def test_a_stream_that_another_process_holds_open_does_not_hold_the_end() -> None:
    body = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], stdout=subprocess.DEVNULL)"
    _, events, _ = events_of(f"import jobs.json_stderr\njobs.json_stderr.DRAIN_S = 0.2\n{body}\nwrite_event('x', {{}})")
    assert [event["event"] for event in events] == ["x"]


def test_an_error_ends_with_its_code(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, json_stderr(is_on=True):
        raise ConfigError("must be x")
    assert caught.value.exit_code == 2
    assert json.loads(capfd.readouterr().err)["exit_code"] == 2


def test_text_stays_text(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError), json_stderr(is_on=False):
        raise ConfigError("must be x")
    assert capfd.readouterr().err == ""
