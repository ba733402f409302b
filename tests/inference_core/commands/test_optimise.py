from __future__ import annotations

import sys
from pathlib import Path

import pytest

from inference_core.cli import build_app, run_app
from inference_core.commands.optimise import gap_text, row_cells
from inference_core.models.package import load_package
from inference_core.optimise.measure import Row
from tests.asset_packages import write_package
from tests.drawn_images import draw_folder
from tests.specs import spec_data
from tests.tiny_models import tiny_classifier, tiny_segmenter

pytest.importorskip("onnx", reason="the extra export is not installed")
pytest.importorskip("openvino", reason="the extra openvino is not installed")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "images", 6)


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``millrace models optimise``."""
    monkeypatch.setattr(sys, "argv", ["millrace", "models", "optimise", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run_app(build_app())
    assert isinstance(ended.value.code, int)
    return (ended.value.code, *capsys.readouterr())


def test_one_table_before_and_after(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path
) -> None:
    source, out = tiny_classifier(tmp_path / "source", depth=1), tmp_path / "new"
    labels = tmp_path / "labels.csv"
    names = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))
    labels.write_text("image_id,class\n" + "".join(f"{name},red\n" for name in names))
    arguments = ("--graph", "basic", "--int8", "static", "--images", images, "--labels", labels, "--max-flips", 1)
    code, output, errors = run(monkeypatch, capsys, source, "--out", out, *arguments)
    assert (code, errors) == (0, "")
    assert "tiny-classification on 6 images, one thread" in output
    lines = [line.split() for line in output.splitlines()]
    assert ["after", "engine", "top-1", "top-5", "other", "answers", "difference", "images/s", "speed", "size"] in lines
    rows = [line for line in lines if line[1:2] in (["onnxruntime"], ["openvino"])]
    assert [row[:2] for row in rows] == [
        [step, engine] for step in ("original", "graph", "int8") for engine in ("onnxruntime", "openvino")
    ]
    assert "graph: " in output
    assert "ranges (minmax) of 6 calibration images" in output
    assert "calibrated on the images that were measured" in output
    assert f"digest {load_package(str(out)).digest}" in output


def test_other_calibration_images_are_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path
) -> None:
    source, out = tiny_segmenter(tmp_path / "source"), tmp_path / "new"
    others = draw_folder(tmp_path / "others", 3)
    arguments = ("--int8", "static", "--images", images, "--calibration", others, "--max-flips", 1)
    code, output, _ = run(monkeypatch, capsys, source, "--out", out, *arguments)
    assert code == 0
    assert "of 3 calibration images" in output
    assert "calibrated on the images that were measured" not in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param((), "optimise must be given one of --fuse", id="nothing"),
        pytest.param(("--fuse",), "--fuse must go with format state_dict", id="wrong-format"),
        pytest.param(("--half", "weights"), "--images: must name images", id="no-images"),
        pytest.param(
            ("--int8", "static", "--max-flips", 2), "--max-flips: must be a share from 0 to 1", id="max-flips"
        ),
    ],
)
def test_wrong_use_is_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: tuple[object, ...],
    message: str,
) -> None:
    source = tiny_classifier(tmp_path / "source")
    code, _, errors = run(monkeypatch, capsys, source, "--out", tmp_path / "new", *arguments)
    assert code == 2
    assert message in errors
    assert not (tmp_path / "new").exists()


def test_a_calibration_folder_without_images_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path
) -> None:
    source, texts = tiny_classifier(tmp_path / "source"), tmp_path / "texts"
    texts.mkdir()
    (texts / "notes.txt").write_text("no image")
    arguments = ("--int8", "static", "--images", images, "--calibration", texts)
    code, _, errors = run(monkeypatch, capsys, source, "--out", tmp_path / "new", *arguments)
    assert code == 2
    assert "--calibration: must name images" in errors
    assert "none of them readable" in errors
    assert not (tmp_path / "new").exists()


def test_a_tflite_package_is_told_what_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, images: Path
) -> None:
    source = write_package(tmp_path / "source", spec_data({"format": "tflite", "weights": "tiny.tflite"}))
    (source / "tiny.tflite").write_bytes(b"TFL3")
    code, _, errors = run(monkeypatch, capsys, source, "--out", tmp_path / "new", "--fuse", "--images", images)
    assert code == 2
    assert "got tflite, with which --half weights works" in errors


ROW = Row(step="int8", engine="openvino", num_bytes=1_500_000, scores={"top-1": 0.5}, images_per_s=99.96, speedup=2.0)


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        pytest.param(ROW, ["int8", "openvino", "0.500", "0.00%", "none", "100.0", "2.00x", "1.50 MB"], id="measured"),
        pytest.param(
            Row(step="int8", engine="openvino", num_bytes=1_500_000, refusal="no such operator"),
            ["int8", "openvino", "", "does not run", "", "", "", "1.50 MB"],
            id="refused",
        ),
    ],
)
def test_cells(row: Row, cells: list[str]) -> None:
    assert row_cells(row, scores=["top-1"], is_reference=False) == cells


def test_the_original_differs_from_nothing() -> None:
    assert row_cells(ROW, scores=[], is_reference=True)[2:4] == ["", ""]


@pytest.mark.parametrize(
    ("gap", "is_finite", "text"),
    [
        pytest.param(0.0, True, "none", id="none"),
        pytest.param(0.01234, True, "0.012", id="some"),
        pytest.param(None, True, "not finite", id="shapes"),
        pytest.param(1.0, False, "not finite", id="not-finite"),
    ],
)
def test_differences(gap: float | None, is_finite: bool, text: str) -> None:
    assert gap_text(Row(step="a", engine="torch", num_bytes=1, max_difference=gap, is_finite=is_finite)) == text
