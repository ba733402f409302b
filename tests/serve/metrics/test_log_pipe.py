from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from serve.metrics.log_pipe import PIPE, LogPipe, open_pipe


def test_lines_of_several_processes_arrive_whole(tmp_path: Path) -> None:
    stream = io.StringIO()
    pipe = LogPipe(tmp_path, stream=stream)
    ends = [open_pipe(tmp_path), open_pipe(tmp_path)]
    for number in range(200):
        end = ends[number % 2]
        assert end is not None
        end.write(f"{number} {'x' * 300}\n")
    pipe.close()
    assert sorted(int(line.split()[0]) for line in stream.getvalue().splitlines()) == list(range(200))
    assert {len(line.split()[1]) for line in stream.getvalue().splitlines()} == {300}


def test_without_a_reader_there_is_no_pipe(tmp_path: Path) -> None:
    assert open_pipe(None) is None
    assert open_pipe(tmp_path) is None
    LogPipe(tmp_path, stream=io.StringIO()).close()
    assert open_pipe(tmp_path) is None


def test_a_file_in_its_place_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / PIPE).write_text("")
    assert open_pipe(tmp_path) is None


def test_a_pipe_that_an_earlier_command_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / PIPE).write_text("left")
    stream = io.StringIO()
    pipe = LogPipe(tmp_path, stream=stream)
    end = open_pipe(tmp_path)
    assert end is not None
    end.write("line\n")
    pipe.close()
    assert stream.getvalue() == "line\n"


def test_a_command_that_has_gone_is_an_error(tmp_path: Path) -> None:
    stream = io.StringIO()
    pipe = LogPipe(tmp_path, stream=stream)
    end = open_pipe(tmp_path)
    assert end is not None
    pipe.close()
    with pytest.raises(BrokenPipeError):
        end.write("line\n")


def test_a_full_pipe_is_an_error_and_no_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / PIPE)
    reader = os.open(tmp_path / PIPE, os.O_RDONLY | os.O_NONBLOCK)
    end = open_pipe(tmp_path)

    def fill() -> None:
        assert end is not None
        for _ in range(1000):
            end.write("x" * 4000 + "\n")

    try:
        with pytest.raises(BlockingIOError):
            fill()
    finally:
        os.close(reader)
