from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from inference_core.cli import build_app, run_app
from tests.drawn_images import png_bytes
from tests.failing_modules import fragile_package
from tests.onnx_graphs import channel_means
from tests.specs import spec_data
from tests.tiny_models import tiny_classifier, write_package

Millrace = Callable[..., tuple[int, str, str]]


@pytest.fixture
def millrace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Millrace:
    """Runs the command in this process; exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["millrace", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run_app(build_app())
        assert isinstance(ended.value.code, int)
        output, errors = capsys.readouterr()
        return ended.value.code, output, errors

    return run


@pytest.fixture(scope="module")
def mixing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose rows tell which images shared a forward."""
    return tiny_classifier(tmp_path_factory.mktemp("mixing"), mixes_batch=True)


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fragile_package(tmp_path_factory.mktemp("fragile"))


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{index}.png" for index in range(4)]
    for index, path in enumerate(paths):
        path.write_bytes(png_bytes(index))
    return paths


@pytest.fixture
def _same_threads() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def rows_of(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.parametrize(
    ("options", "engine"),
    [
        pytest.param([], "onnxruntime on cpu, fp32", id="default"),
        pytest.param(["--engine", "openvino", "--precision", "fp32"], "openvino on cpu, fp32", id="engine"),
        pytest.param(["--engine", "openvino", "--precision", "bf16"], "openvino on cpu, bf16", id="precision"),
    ],
)
def test_engine_and_precision_stand_in_the_row(
    millrace: Millrace, mixing: Path, images: list[Path], options: list[str], engine: str
) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    code, output, errors = millrace("predict", *images, "-m", mixing, *options)
    if "bf16" in options and code == 2:
        pytest.skip(errors)  # the processor has none
    assert code == 0
    assert {row["engine"] for row in rows_of(output)} == {engine}
    assert ("bf16" in errors) is ("bf16" in options)


def test_an_engine_can_be_measured(millrace: Millrace, mixing: Path, images: list[Path]) -> None:
    code, output, errors = millrace("predict", *images, "-m", mixing, "--engine", "auto", "--precision", "fp32")
    assert code == 0
    assert errors.startswith("engine: ")
    assert "  onnxruntime fp32: " in errors
    assert len(rows_of(output)) == 4


def test_the_batch_size_says_who_shares_a_forward(millrace: Millrace, mixing: Path, images: list[Path]) -> None:
    scores = [
        [row["score"] for row in rows_of(millrace("predict", *images, "-m", mixing, "--batch-size", size)[1])]
        for size in (1, 4)
    ]
    assert scores[0] == pytest.approx([1 / 3] * 4)  # alone, an image is its batch's mean
    assert scores[1] != pytest.approx([1 / 3] * 4)


def test_a_batch_size_can_be_measured(millrace: Millrace, mixing: Path, images: list[Path]) -> None:
    code, _, errors = millrace("predict", *images, "-m", mixing, "--batch-size", "auto")
    assert code == 0
    assert errors.startswith("batch size: batch ")
    assert "  batch 2 of 16x16: " in errors


@pytest.mark.usefixtures("_same_threads")
def test_threads_are_those_of_the_engine(millrace: Millrace, fragile: Path, images: list[Path]) -> None:
    for threads in (2, 1):
        assert millrace("predict", *images, "-m", fragile, "--threads", threads)[0] == 0
        assert torch.get_num_threads() == threads
        assert re.search(rf"threads +│ {threads} ", millrace("models", "check", fragile, "--threads", threads)[1])


@pytest.mark.parametrize(
    ("guard", "statuses", "told"),
    [
        ("fall_back", {"ok"}, "warning: torch bf16 left out for fp32: its outputs hold inf or nan"),
        ("warn", {"infer_error"}, "warning: torch bf16 is used though its outputs hold inf or nan"),
        ("off", {"infer_error"}, ""),
    ],
)
def test_the_guard_is_a_choice(millrace: Millrace, tmp_path: Path, guard: str, statuses: set[str], told: str) -> None:
    from PIL import Image

    Image.new("RGB", (16, 16), "white").save(tmp_path / "white.png")
    package = fragile_package(tmp_path / "overflowing", scale=3.4e38)
    options = ["--precision", "bf16", "--precision-guard", guard]
    _, output, errors = millrace("predict", tmp_path / "white.png", "-m", package, *options)
    assert {row["status"] for row in rows_of(output)} == statuses
    assert told in errors
    assert bool(errors) is bool(told)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("threads", [1])
@pytest.mark.usefixtures("_same_threads")
@pytest.mark.slow
def test_a_model_is_compiled_where_asked(millrace: Millrace, tmp_path: Path, images: list[Path], threads: int) -> None:
    from inference_core.models.unet import build_unet

    options = {"in_channels": 3, "num_classes": 2, "widths": [2, 4]}
    torch.save(build_unet(**options).state_dict(), tmp_path / "unet.pth")
    spec = {
        "name": "unet", "task": "segmentation", "format": "state_dict", "weights": "unet.pth",
        "architecture": {"name": "unet", "options": options}, "classes": ["background", "cell"],
        "input": {"fit": "stretch", "size_hw": [16, 16]},
    }  # fmt: skip
    package = write_package(tmp_path, spec)
    code, output, _ = millrace("predict", images[0], "-m", package, "--compile", "--threads", threads)
    assert code == 0
    assert rows_of(output)[0]["engine"] == "torch on cpu, fp32, compiled"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--batch-size", "0"], "must be auto or a number of at least 1, got '0'", id="batch-size"),
        pytest.param(["--batch-size", "many"], "must be auto or a number of at least 1, got 'many'", id="no-number"),
        pytest.param(["--precision-guard", "on"], "must be fall_back, warn or off, got 'on'", id="guard"),
        pytest.param(["--precision", "fp8"], "precision: must be auto, fp32, fp16 or bf16, got 'fp8'", id="precision"),
        pytest.param(["--engine", "torch"], "engine: must be default, onnxruntime or openvino", id="engine"),
        pytest.param(["--threads", "-1"], "num_threads: must be at least 0, got -1", id="threads"),
        pytest.param(["--compile"], "engine: must be torch to compile", id="compile"),
    ],
)
def test_wrong_options_are_one_message_and_code_2(
    millrace: Millrace, mixing: Path, images: list[Path], options: list[str], message: str
) -> None:
    code, output, errors = millrace("predict", images[0], "-m", mixing, *options)
    assert (code, output) == (2, "")
    assert message in " ".join(errors.replace("│", " ").split())


# models check


def test_check_says_which_engines_are_able_and_installed(
    millrace: Millrace, mixing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inference_core.engines import table

    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    assert re.search(r"engines +│ onnxruntime, openvino ", millrace("models", "check", mixing)[1])
    monkeypatch.setitem(table.MODULE_OF_ENGINE, "openvino", "no_such_module")
    assert "onnxruntime; not installed: openvino" in millrace("models", "check", mixing)[1]
    code, output, _ = millrace("models", "check", mixing, "--device", "cpu", "--engine", "onnxruntime")
    assert code == 0
    assert "onnxruntime on cpu, fp32" in output


@pytest.mark.parametrize(
    ("fixed", "text"),
    [
        pytest.param("batch", "any number of images at a time", id="free"),
        pytest.param(1, "the graph takes 1 image at a time: runs as such", id="one"),
        pytest.param(3, "the graph takes 3 images at a time: runs as such", id="three"),
    ],
)
def test_check_says_how_many_images_the_graph_takes(
    millrace: Millrace, tmp_path: Path, fixed: int | str, text: str
) -> None:
    (tmp_path / "tiny.onnx").write_bytes(channel_means(batch=fixed))
    package = write_package(tmp_path, spec_data({"output": {"activation": "none"}}))
    code, output, _ = millrace("models", "check", package, "--probe")
    assert code == 0
    assert text in output
    assert ("batch size: batch " if fixed == "batch" else f"batch size {fixed}: the model's graph takes") in output
    assert ("  batch 1 of 8x8: " in output) is (fixed == "batch")


def test_check_probes_only_when_asked(millrace: Millrace, mixing: Path) -> None:
    assert "batch size" not in millrace("models", "check", mixing)[1]
