"""Keep standard error machine-readable, whoever writes to it: every line is a JSON object."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from inference_core.commands.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED
from inference_core.errors import ConfigError, MillraceError
from inference_core.hooks.package_modules import LOGGER
from inference_core.storage import mask_secrets
from jobs.json_events import write_event

FILTER = Path(__file__).with_name("stderr_filter.py")
DRAIN_S = 5.0
"""How long the end of a command waits for lines that are under way; others may hold the stream open."""


@contextmanager
def json_stderr(*, is_on: bool) -> Iterator[None]:
    """Make an object of every line until the context ends, and of what it ends with, if asked for.

    Native libraries write past Python, so the stream itself goes through another process: a thread could not drain it
    while such a library holds the interpreter.

    Raises:
        typer.Exit: with the exit code, in place of an error that was written as an event.
    """
    if not is_on:
        yield
        return
    with filtered_stderr(), json_logging():
        try:
            yield
        except MillraceError as exc:
            raise told(exc, mask_secrets(str(exc)), code=exc.exit_code) from exc
        except KeyboardInterrupt as exc:
            raise told(exc, "the same command goes on where this one stopped", code=EXIT_INTERRUPTED) from exc
        except SystemExit as exc:
            write_event("stopped", {"exit_code": exc.code})
            raise
        except (typer.Exit, typer.BadParameter):
            raise
        except Exception as exc:  # the last line of a command, as the interpreter's own would be
            raise told(exc, traceback.format_exc(), code=EXIT_FAILED) from exc


def told(error: BaseException, message: str, *, code: int) -> typer.Exit:
    """Write what a command ended with; what it is to end with now."""
    key = {"key": error.key} if isinstance(error, ConfigError) and error.key else {}
    write_event("error", {"kind": type(error).__name__, "message": message, "exit_code": code, **key})
    return typer.Exit(code)


@contextmanager
def filtered_stderr() -> Iterator[None]:
    """Send the process's standard error through ``jobs.stderr_filter``."""
    sys.stderr.flush()
    kept = os.dup(2)
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(FILTER)],
        stdin=subprocess.PIPE,
        stdout=kept,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # what is sent to the group is for us
    ) as child:
        assert child.stdin is not None, "the child was given a pipe"
        os.dup2(child.stdin.fileno(), 2)
        child.stdin.close()
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            drain(child)


def drain(child: subprocess.Popen[bytes]) -> None:
    """Wait until the last lines are through."""
    try:
        child.wait(DRAIN_S)
    except subprocess.TimeoutExpired:
        child.kill()  # a process that outlives the command holds the stream


class EventHandler(logging.Handler):
    """Writes what is logged as events."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        if record.name == LOGGER.name:
            write_event("package_code", {"message": record.getMessage()})
        else:
            level, message = record.levelname.lower(), self.format(record)
            write_event("log", {"level": level, "logger": record.name, "message": message})


@contextmanager
def json_logging() -> Iterator[None]:
    """What is logged, and what Python warns of, as events until the context ends."""
    handler, root = EventHandler(logging.WARNING), logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
