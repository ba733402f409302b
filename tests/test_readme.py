"""Every block of the README is run, in order, and its output is compared with what stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MARK = "--- end of a command ---"
TIMEOUT_S = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block."""

    language: str
    text: str
    line: int
    """Where its first line stands, from 1."""


def read_blocks() -> list[Block]:
    """All fenced blocks, in order."""
    text = README.read_text(encoding="utf-8")
    return [
        Block(language=found[1], text=found[2], line=text.count("\n", 0, found.start()) + 1)
        for found in BLOCK.finditer(text)
    ]


def split_console(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output that follows it; a backslash continues a command."""
    steps: list[tuple[str, str]] = []
    is_open = False
    for line in text.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], ""))
        elif is_open:
            steps[-1] = (f"{steps[-1][0]}\n{line}", "")
        else:
            steps[-1] = (steps[-1][0], f"{steps[-1][1]}{line}\n")
        is_open = line.endswith("\\") and (line.startswith("$ ") or is_open)
    return steps


def is_as_shown(output: str, expected: str) -> bool:
    """Whether an output is what stands in the README, but for the amount of space between words.

    ``...`` alone on a line stands for any lines, within a line for any text.
    """
    patterns = (
        r"(?:.*\n)*?" if line == "..." else ".*?".join(map(re.escape, line.split("..."))) + r" ?\n"
        for line in squeeze(expected).splitlines()
    )
    return re.fullmatch("".join(patterns), squeeze(output)) is not None


def squeeze(text: str) -> str:
    """Each line with single spaces between its words and none at its ends."""
    return "".join(f"{' '.join(line.split())}\n" for line in text.splitlines())


def run_shell(script: str, *, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a script as a person's shell would, both streams together."""
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def check_console(block: Block, *, folder: Path, environment: dict[str, str]) -> None:
    """Run the commands in one shell and compare the output of each."""
    steps = split_console(block.text)
    # The mark between two commands must leave `$?` as it was.
    script = "\n".join(f"{command}\n(code=$?; echo '{MARK}'; exit $code)" for command, _ in steps)
    outputs = run_shell(script, folder=folder, environment=environment).stdout.split(f"{MARK}\n")
    for (command, expected), output in zip(steps, outputs, strict=False):
        assert is_as_shown(output, expected), f"line {block.line}: {command}\nprinted\n{output}"
    assert len(outputs) == len(steps) + 1, f"line {block.line}: the shell ended early: {outputs[-1]}"


def check_python(block: Block, expected: str, *, folder: Path, environment: dict[str, str]) -> None:
    """Run the code and compare what it prints."""
    (folder / "block.py").write_text(block.text, encoding="utf-8")
    done = run_shell("python block.py", folder=folder, environment=environment)
    assert done.returncode == 0, f"line {block.line}: {done.stdout}"
    assert is_as_shown(done.stdout, expected), f"line {block.line} printed\n{done.stdout}"


def write_yaml(block: Block, *, folder: Path) -> None:
    """Write a file to the path that its first line names."""
    name = re.match(r"# (\S+)\n", block.text)
    assert name, f"line {block.line}: the first line of a YAML block must be a comment with its file's name"
    (folder / name[1]).parent.mkdir(parents=True, exist_ok=True)
    (folder / name[1]).write_text(block.text, encoding="utf-8")


@pytest.fixture
def environment() -> dict[str, str]:
    """The caller's, with this Python's commands first and nothing that leads to a cluster."""
    kept = {key: value for key, value in os.environ.items() if key not in ("RAY_ADDRESS", "PYTHONWARNINGS")}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}", "COLUMNS": "160"}


@pytest.mark.integration
@pytest.mark.slow
def test_every_block_does_what_it_says(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    blocks = read_blocks()
    for block, following in pairwise([*blocks, Block(language="", text="", line=0)]):
        if block.language == "console":
            check_console(block, folder=tmp_path, environment=environment)
        elif block.language == "python":
            expected = following.text if following.language == "text" else ""
            check_python(block, expected, folder=tmp_path, environment=environment)
        elif block.language == "yaml":
            write_yaml(block, folder=tmp_path)
        else:
            assert block.language == "text", f"line {block.line}: blocks must be console, python, yaml or text"


def test_running_code_stands_before_line_30() -> None:
    assert min(block.line for block in read_blocks() if block.language in ("console", "python")) < 30


def test_a_text_block_is_the_output_of_the_python_block_before_it() -> None:
    languages = [block.language for block in read_blocks()]
    assert all(before == "python" for before, language in pairwise(languages) if language == "text")


@pytest.mark.parametrize(
    ("expected", "output", "matches"),
    [
        pytest.param("", "", True, id="nothing"),
        pytest.param("a b\n", "a    b  \n", True, id="spaces"),
        pytest.param("a b\n", "ab\n", False, id="no space"),
        pytest.param("a\n", "a\nb\n", False, id="a line too many"),
        pytest.param("a\n...\n", "a\n", True, id="no lines for dots"),
        pytest.param("...\nb\n", "x\ny\nb\n", True, id="lines for dots"),
        pytest.param("mean 0.9... over\n", "mean 0.9713 over\n", True, id="dots in a line"),
        pytest.param("mean 0.9... over\n", "mean 0.9713\n over\n", False, id="dots end with the line"),
        pytest.param("a.c\n", "abc\n", False, id="a dot is a dot"),
    ],
)
def test_outputs_are_compared_strictly(expected: str, output: str, matches: bool) -> None:
    assert is_as_shown(output, expected) is matches


def test_console_blocks_are_split_into_commands() -> None:
    text = "$ one\nout\n$ two \\\n    more\n$ three\nlast\n"
    assert split_console(text) == [("one", "out\n"), ("two \\\n    more", ""), ("three", "last\n")]


@pytest.mark.parametrize("page", sorted([README, *(ROOT / "docs").glob("*.md")]), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    missing = [target for target in local if not (page.parent / target.partition("#")[0]).exists()]
    assert not missing
