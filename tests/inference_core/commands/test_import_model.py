from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from inference_core.cli import build_app, run_app
from inference_core.commands.import_model import split_names, value_text
from inference_core.errors import ConfigError
from inference_core.models.package import load_package
from tests.drawn_images import png_bytes
from tests.onnx_graphs import channel_means
from tests.tiny_models import tiny_classifier


class Run:
    """Runs the command in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        self._monkeypatch.setenv("COLUMNS", "200")
        self._monkeypatch.setattr(sys, "argv", ["millrace", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run_app(build_app())
        output, errors = self._capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return code, output, errors


@pytest.fixture
def millrace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capsys)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """Three scores for images of 8 x 8 pixels."""
    path = tmp_path / "means.onnx"
    path.write_bytes(channel_means(size_hw=(8, 8)))
    return path


SAID = ["--preset", "inception", "--classes", "red,green, blue", "--task", "classification"]
FIT = ["--set", "input.fit=stretch"]
MISSING_FIT = (
    "does not tell 1 fact that a model package needs; say it:\n"
    "  input.fit: how images got the input's size in training: letterbox, stretch, shortest_side_crop, tile or native; "
)


def test_a_package_and_a_table(millrace: Run, graph: Path, tmp_path: Path) -> None:
    code, output, errors = millrace("models", "import", graph, "--out", tmp_path / "out", *SAID, *FIT)
    assert (code, errors) == (0, "")
    package = load_package(str(tmp_path / "out"))
    assert package.spec.classes == ("red", "green", "blue")
    assert package.digest in output
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if "│" in line]
    assert ["found", "input.size_hw", "[8, 8]", "input 'image' [?, 3, 8, 8]"] in lines
    assert ["said", "input.scale", "127.5", "said by the user (preset inception)"] in lines
    assert ["said", "input.fit", "stretch", "said by the user"] in lines
    assert any(line[:2] == ["assumed", "input.color"] for line in lines)


def test_one_missing_fact(millrace: Run, graph: Path, tmp_path: Path) -> None:
    code, output, errors = millrace("models", "import", graph, "-o", tmp_path / "out", *SAID)
    assert code == 2
    assert "│ missing │ input.fit " in output
    assert errors == f"error: {graph} {MISSING_FIT}e.g. --set input.fit=stretch\n"
    assert not (tmp_path / "out").exists()


def test_the_example_of_a_gap_fills_it(millrace: Run, graph: Path, tmp_path: Path) -> None:
    _, output, _ = millrace("models", "import", graph, "-o", tmp_path / "out", "--json")
    examples = [gap["example"] for gap in json.loads(output)["missing"]]
    assert [example.partition("=")[0] for example in examples] == [
        "input.fit", "input.scale", "input.mean", "input.std", "classes",
    ]  # fmt: skip
    (tmp_path / "classes.txt").write_text("red\ngreen\nblue\n")
    sets = [
        part for example in examples for part in ("--set", example.replace("classes.txt", f"{tmp_path}/classes.txt"))
    ]
    code, output, _ = millrace("models", "import", graph, "-o", tmp_path / "out", "--json", *sets)
    assert code == 0
    record = json.loads(output)
    assert record["missing"] == []
    assert record["digest"] == load_package(str(tmp_path / "out")).digest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--preset", "x"], "error: preset: must be one of imagenet, ", id="preset"),
        pytest.param(["--set", "fit"], "error: --set: must be KEY=VALUE, got 'fit'", id="set"),
        pytest.param(["--classes", "a,,b"], "error: --classes: must be names between commas", id="classes"),
        pytest.param(["--classes", "a,b"], "error: classes: must have one name for each of the model's 3", id="count"),
        pytest.param(["--classes", "absent.txt"], "error: classes: must name an existing file", id="no-file"),
        pytest.param(["--task", "regression"], "error: ", id="task"),
    ],
)
def test_wrong_facts(millrace: Run, graph: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, _, errors = millrace("models", "import", graph, "-o", tmp_path / "out", *SAID, *FIT, *arguments)
    assert code == 2
    assert errors.startswith(message)
    assert not (tmp_path / "out").exists()


def test_a_package_is_one_already(millrace: Run, tmp_path: Path) -> None:
    package = tiny_classifier(tmp_path / "package")
    code, _, errors = millrace("models", "import", package, "-o", tmp_path / "out")
    assert (code, errors) == (
        2,
        f"error: source must be no package yet, got {package}, which holds model.yaml; use it as it is\n",
    )


def test_help_lists_every_preset(millrace: Run) -> None:
    code, output, _ = millrace("models", "import", "--help")
    assert code == 0
    assert all(word in output for word in ("imagenet:", "caffe_bgr:", "yolo:", "--architecture", "timm:NAME"))


def test_predict_takes_a_short_name(millrace: Run, graph: Path, tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(png_bytes(0))
    facts = ["--set", "preset=inception", "--set", "classes=[red, green, blue]", *FIT]
    code, output, errors = millrace("predict", image, "--model", graph, *facts)
    assert (code, json.loads(output)["label"]) == (0, "red")
    assert errors.startswith(f"imported {graph} on the fly; assumed:\n  input.color: rgb (")
    code, output, errors = millrace("predict", image, "--model", graph, *facts[:4])
    assert (code, output, errors) == (2, "", f"error: {graph} {MISSING_FIT}e.g. --set input.fit=stretch\n")


def test_check_takes_a_short_name(millrace: Run, graph: Path) -> None:
    facts = ["--set", "preset=inception", "--set", "classes=[red, green, blue]", *FIT]
    code, output, _ = millrace("models", "check", graph, *facts)
    assert code == 0
    assert "stretch 8x8 rgb" in output


def test_facts_of_a_package_are_refused(millrace: Run, tmp_path: Path) -> None:
    package = tiny_classifier(tmp_path / "package")
    code, _, errors = millrace("models", "check", package, *FIT)
    assert (code, errors.partition(",")[0]) == (2, "error: --set: must be absent with a model package")


@pytest.mark.parametrize(
    ("text", "names"),
    [(None, None), ("names.txt", "names.txt"), ("a,b", ["a", "b"]), (" a , b c", ["a", "b c"])],
)
def test_names_on_the_command_line(text: str | None, names: str | list[str] | None) -> None:
    assert split_names(text) == names


def test_an_empty_name() -> None:
    with pytest.raises(ConfigError, match=r"^--classes: must be names between commas, got 'a,'"):
        split_names("a,")


@pytest.mark.parametrize(
    ("value", "text"),
    [("rgb", "rgb"), ([8, 8], "[8, 8]"), (["a"] * 9, "9: a, a, a, ..."), ("x" * 300, "x" * 200 + "...")],
    ids=["text", "list", "long-list", "long-text"],
)
def test_values_in_the_table(value: object, text: str) -> None:
    assert value_text(value) == text
