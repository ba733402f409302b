from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from inference_core.cli import build_app, run_app
from inference_core.commands.predict import file_names
from inference_core.errors import ConfigError, JobError
from tests.asset_packages import write_package
from tests.drawn_images import png_bytes
from tests.tiny_models import tiny_classifier, tiny_segmenter


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_segmenter(tmp_path_factory.mktemp("segmenter"))


@pytest.fixture
def millrace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capsys)


class Run:
    """Runs the command in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        self._monkeypatch.setattr(sys, "argv", ["millrace", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run_app(build_app())
        output, errors = self._capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return code, output, errors


def image(folder: Path, name: str, index: int = 0) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_bytes(index))
    return path


def test_a_json_object_for_each_image(millrace: Run, classifier: Path, tmp_path: Path) -> None:
    paths = [image(tmp_path, "a.png", 0), image(tmp_path, "größe 2.png", 1)]
    code, output, errors = millrace("predict", *paths, "--model", classifier)
    assert (code, errors) == (0, "")
    rows = [json.loads(line) for line in output.splitlines()]
    assert [row["image_id"] for row in rows] == [str(path) for path in paths]
    assert [row["label"] for row in rows] == ["red", "green"]
    assert [row["row_id"] for row in rows] == [0, 1]
    assert "größe 2.png" in output


def test_bad_images_are_rows_and_an_exit_code(millrace: Run, classifier: Path, tmp_path: Path) -> None:
    code, output, _ = millrace("predict", tmp_path / "absent.png", image(tmp_path, "a.png"), "-m", classifier)
    rows = [json.loads(line) for line in output.splitlines()]
    assert code == 3
    assert [row["status"] for row in rows] == ["fetch_error", "ok"]


def test_masks_are_saved(millrace: Run, segmenter: Path, tmp_path: Path) -> None:
    path = image(tmp_path, "a.png", 2)
    code, output, _ = millrace("predict", path, "--model", segmenter, "--save", tmp_path / "out", "--device", "cpu")
    assert code == 0
    row = json.loads(output)
    assert row["mask_path"] == str(tmp_path / "out" / "a.png.png")
    with Image.open(row["mask_path"]) as mask:
        assert np.bincount(np.asarray(mask).ravel()).tolist() == [0, 0, 20 * 24]
    assert row["classes"][0]["label"] == "blue"


def test_images_of_one_name_have_masks_of_their_own(millrace: Run, segmenter: Path, tmp_path: Path) -> None:
    paths = [image(tmp_path, "x/a.png", 0), image(tmp_path, "y/a.png", 1)]
    _, output, _ = millrace("predict", *paths, "--model", segmenter, "--save", tmp_path / "out")
    masks = [json.loads(line)["mask_path"] for line in output.splitlines()]
    assert masks == [str(tmp_path / "out" / name) for name in ("0-a.png.png", "1-a.png.png")]
    assert [int(np.asarray(Image.open(mask)).max()) for mask in masks] == [0, 1]


@pytest.mark.parametrize(
    ("images", "names"),
    [
        ([], []),
        (["/a/b.png"], ["b.png"]),
        (["/a/b.png", "c.png"], ["b.png", "c.png"]),
        (["a/x", "b/x", "y"], ["0-x", "1-x", "2-y"]),
        (["s3://b/k/x.jpg"], ["x.jpg"]),
    ],
    ids=["none", "one", "two", "same-name", "uri"],
)
def test_file_names(images: list[str], names: list[str]) -> None:
    assert file_names(images) == names


def test_a_package_is_checked(millrace: Run, classifier: Path) -> None:
    code, output, _ = millrace("models", "check", classifier)
    assert code == 0
    assert "package works" in output
    for fact in ("tiny-classification", "3: red, green, blue", "onnxruntime on cpu, fp32", "stretch 16x16 rgb"):
        assert fact in output


def test_what_loading_left_out_is_shown(millrace: Run, tmp_path: Path) -> None:
    import torch  # here, because most tests do without

    from inference_core.models.unet import build_unet

    options = {"in_channels": 3, "num_classes": 2, "widths": [2, 4]}
    # As milesial's Pytorch-UNet saves its weights.
    torch.save({**build_unet(**options).state_dict(), "mask_values": [0, 255]}, tmp_path / "unet.pth")
    spec = {
        "name": "unet",
        "task": "segmentation",
        "format": "state_dict",
        "weights": "unet.pth",
        "architecture": {"name": "unet", "options": options},
        "classes": ["background", "cell"],
        "input": {"fit": "stretch", "size_hw": [16, 16]},
    }
    code, output, _ = millrace("models", "check", write_package(tmp_path, spec))
    assert code == 0
    assert "unet.pth: left out 1 other key (mask_values), no tensors" in output


def test_a_path_that_looks_like_markup(millrace: Run, tmp_path: Path) -> None:
    code, output, _ = millrace("models", "check", tiny_classifier(tmp_path / "[bold]" / "[" / "x]"))
    assert code == 0
    assert "[bold]/[/x]/tiny.onnx" in output.replace("\n", "").replace(" ", "").replace("│", "")


def test_a_package_that_does_not_fit(millrace: Run, tmp_path: Path) -> None:
    code, output, errors = millrace("models", "check", tiny_classifier(tmp_path, channels=1))
    assert (code, output) == (2, "")
    assert errors.startswith("error: the graph takes 1 along C")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["models", "check", "/absent"], "error: model must be a folder with a model.yaml", id="no-package"
        ),
        pytest.param(["predict", "a.png", "-m", "/absent"], "error: model must be a folder with a", id="no-model"),
        pytest.param(["predict", "a.png"], "Missing option '--model'", id="no-option"),
        pytest.param(["predict"], "Missing argument", id="no-argument"),
        pytest.param(["predict", "--modle", "x"], "No such option: --modle", id="unknown-option"),
        pytest.param(["predickt"], "No such command 'predickt'", id="unknown-command"),
        pytest.param(["models", "chek"], "No such command 'chek'", id="unknown-subcommand"),
    ],
)
def test_wrong_usage_is_one_message_and_code_2(millrace: Run, arguments: list[str], message: str) -> None:
    code, output, errors = millrace(*arguments)
    assert (code, output) == (2, "")
    assert message in errors
    assert "Traceback" not in errors


def test_a_wrong_device_is_told(millrace: Run, classifier: Path) -> None:
    code, _, errors = millrace("predict", "a.png", "-m", classifier, "--device", "gpu")
    assert (code, errors) == (2, "error: device: must be auto, cpu, cuda or cuda:N, got 'gpu'; correct it\n")


def test_help_names_every_command(millrace: Run) -> None:
    code, output, _ = millrace("--help")
    assert code == 0
    assert {"predict", "models"} <= set(output.split())


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        pytest.param(ConfigError("must be x", key="a.b"), 2, "error: a.b: must be x\n", id="config"),
        pytest.param(JobError("stopped"), 1, "error: stopped\n", id="job"),
        pytest.param(KeyboardInterrupt(), 130, "interrupted; the same command goes on where this", id="interrupt"),
        pytest.param(typer.Abort(), 130, "interrupted", id="abort"),
        pytest.param(typer.Exit(3), 3, "", id="exit"),
        pytest.param(typer.BadParameter("no"), 2, "Invalid value: no", id="usage"),
    ],
)
def test_every_end_has_its_code(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = typer.Typer()

    @app.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["fail"])
    with pytest.raises(SystemExit) as ended:
        run_app(app)
    assert ended.value.code == code
    errors = capsys.readouterr().err
    assert message in errors
    assert "Traceback" not in errors


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()

    @app.command()
    def fail() -> None:
        raise ZeroDivisionError("bug")

    monkeypatch.setattr(sys, "argv", ["fail"])
    with pytest.raises(ZeroDivisionError, match="bug"):
        run_app(app)


@pytest.mark.integration
def test_the_installed_command(classifier: Path, tmp_path: Path) -> None:
    path = image(tmp_path, "a.png")
    code = "from inference_core.cli import main; main()"
    command = [sys.executable, "-c", code, "predict", str(path), "--model", str(classifier)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["status"] == "ok"


def test_predict_saves_pictures_beside_masks(millrace: Run, segmenter: Path, tmp_path: Path) -> None:
    code, output, _ = millrace("predict", image(tmp_path, "a.png"), "--model", segmenter, "--save", tmp_path / "out")
    row = json.loads(output)
    assert code == 0
    assert Path(row["picture_path"]).name == "a.png.overlay.png"
    with Image.open(row["picture_path"]) as picture:
        assert picture.width > 24  # the legend stands beside it
    assert Path(row["mask_path"]).is_file()


def test_predict_saves_the_kind_of_picture_that_is_asked_for(millrace: Run, segmenter: Path, tmp_path: Path) -> None:
    _, output, _ = millrace(
        "predict", image(tmp_path, "a.png"), "--model", segmenter, "--save", tmp_path / "out", "--kind", "uncertainty"
    )
    assert Path(json.loads(output)["picture_path"]).name == "a.png.uncertainty.png"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--show",), "--show: needs a display, got none"),
        (("--save", "out", "--kind", "boxes"), "kind: must be auto, overlay, contours, mask"),
        (("--save", "out", "--kind", "before_after"), "--kind: must be another for a package without postprocess"),
        (("--save", "/dev/null"), "--save: must be a folder that can be written, got /dev/null (File exists); name"),
        (("--save", "/dev/null/x"), "--save: must be a folder that can be written, got /dev/null/x (Not a directory)"),
    ],
)
def test_predict_says_which_pictures_it_cannot_make(
    millrace: Run,
    segmenter: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    code, _, errors = millrace("predict", image(tmp_path, "a.png"), "--model", segmenter, *options)
    assert code == 2
    assert message in errors
