from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inference_core.engines.torch_engine import TorchEngine
from inference_core.errors import ConfigError, ModelError
from inference_core.models.package import ModelPackage, load_package
from inference_core.models.torch_module import TorchModel
from inference_core.pipeline import (
    CPU_BATCH_SIZE,
    CUDA_BATCH_SIZE,
    blank_hw,
    build_finisher,
    build_preparer,
    build_runner,
    check_runner,
    has_cuda_device,
)
from inference_core.results import Classification
from inference_core.runner import Runner
from inference_core.tasks.build import build_task
from tests.onnx_graphs import channel_means, graph_bytes, pixel_planes
from tests.specs import input_spec, package_of
from tests.tiny_models import tiny_classifier

UNET = {
    "task": "segmentation",
    "format": "state_dict",
    "weights": "w.pth",
    "classes": ["background", "cell"],
    "architecture": {"name": "unet", "options": {"in_channels": 3, "num_classes": 2, "widths": [4, 8]}},
}


def unet_package(options: dict[str, Any] | None = None, **changed: Any) -> ModelPackage:
    """A U-Net with random weights that fit its architecture, whatever the spec says of its input and classes."""
    from inference_core.models.unet import build_unet

    torch.manual_seed(0)
    architecture = {"name": "unet", "options": UNET["architecture"]["options"] | changed}  # type: ignore[index]
    buffer = io.BytesIO()
    torch.save(build_unet(**architecture["options"]).state_dict(), buffer)
    return package_of(buffer.getvalue(), UNET | {"architecture": architecture} | (options or {}))


def check(package: ModelPackage, *, device: str = "cpu") -> None:
    check_runner(package, build_runner(package, device=device, num_threads=1))


def test_the_three_verbs_answer_for_a_package(tmp_path: Path) -> None:
    package = load_package(str(tiny_classifier(tmp_path)))
    runner = build_runner(package, device="cpu")
    check_runner(package, runner)
    image = np.zeros((9, 30, 3), np.uint8)
    image[..., 2] = 200
    item = build_preparer(package).prepare(image, image_id="x")
    (raw,) = runner.infer([item])
    prediction = build_finisher(package).finish(raw)
    assert prediction.is_ok
    assert isinstance(prediction.result, Classification)
    assert prediction.result.labels[0] == "blue"
    assert prediction.model_digest == package.digest
    assert prediction.engine == "onnxruntime on cpu, fp32"
    assert prediction.stage_ms.finish > 0


def test_a_failed_item_is_finished_as_it_is(tmp_path: Path) -> None:
    package = load_package(str(tiny_classifier(tmp_path)))
    item = build_preparer(package).prepare(b"no image", image_id="x")
    (raw,) = build_runner(package, device="cpu").infer([item])
    prediction = build_finisher(package).finish(raw)
    assert (prediction.status, prediction.error, prediction.result) == ("unsupported", item.error, None)
    assert prediction.model_digest == package.digest


def test_a_gpu_is_seen_where_torch_sees_one() -> None:
    assert has_cuda_device() == torch.cuda.is_available()


def test_the_default_batch_is_the_devices(device: str) -> None:
    assert build_runner(unet_package(), device=device).batch_size == (
        CPU_BATCH_SIZE if device == "cpu" else CUDA_BATCH_SIZE
    )


@pytest.mark.parametrize("batch_size", [1, 7])
def test_a_batch_size_of_ones_own(batch_size: int) -> None:
    assert build_runner(unet_package(), device="cpu", batch_size=batch_size).batch_size == batch_size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"batch_size": 0}, "batch_size: must be at least 1, got 0; correct it", id="batch-0"),
        pytest.param({"batch_size": -2}, "batch_size: must be at least 1, got -2", id="negative-batch"),
        pytest.param({"num_threads": -1}, "num_threads: must be at least 0, got -1; 0 leaves it", id="threads"),
        pytest.param({"device": "tpu"}, "device: must be auto, cpu, cuda or cuda:N, got 'tpu'", id="device"),
        pytest.param({"precision": "fp16"}, "precision: must be fp32, bf16 or auto on the CPU, got 'fp16'", id="fp16"),
    ],
)
def test_settings_that_cannot_be_had(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_runner(unet_package(), **{"device": "cpu", **options})


@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_precision_reaches_the_engine(precision: str) -> None:
    facts = build_runner(unet_package(), device="cpu", precision=precision).engine_facts
    assert facts.precision == {"auto": "fp32", "bf16": "bf16"}[precision]


def test_a_limit_reaches_the_preparer() -> None:
    preparer = build_preparer(unet_package({"input": {"fit": "native"}}), max_fit_pixels=100)
    assert preparer.prepare(np.zeros((20, 20, 3), np.uint8), image_id="x").status == "too_large"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="stretch"),
        pytest.param({"input": {"fit": "native", "multiple_px": 8}}, id="native"),
        pytest.param({"input": {"fit": "tile", "size_hw": [16, 24], "overlap_px": 4}}, id="tile"),
    ],
)
def test_a_package_that_works(options: dict[str, Any], device: str) -> None:
    check(unet_package(options), device=device)


def no_batch_axis() -> bytes:
    """Means over the whole batch, which is no classification."""
    from onnx import helper

    nodes = [
        helper.make_node("ReduceMean", ["image"], ["flat"], axes=[0, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["flat", "first"], ["scores"]),
    ]
    shape = ["batch", 3, "height", "width"]
    return graph_bytes(
        nodes, inputs={"image": shape}, outputs={"scores": [1, 3]}, weights={"first": np.array([0], np.int64)}
    )


def class_ids_graph() -> bytes:
    """The best channel of each pixel, decided inside the graph."""
    from onnx import TensorProto, helper

    nodes = [helper.make_node("ArgMax", ["image"], ["ids"], axis=1, keepdims=0)]
    shape = ["batch", 3, "height", "width"]
    outputs = {"ids": ["batch", "height", "width"]}
    return graph_bytes(nodes, inputs={"image": shape}, outputs=outputs, output_type=TensorProto.INT64)


@pytest.mark.parametrize(
    ("package", "message"),
    [
        pytest.param(
            unet_package(in_channels=1),
            r"the model must take a batch of shape \[1, 8, 8, 3\] \(B, h, w, C\), but refused it: .*to have 1 channels"
            r", but got 3 channels instead; check input.color, input.size_hw, input.layout and architecture.options",
            id="gray-model-of-rgb",
        ),
        pytest.param(
            unet_package({"classes": ["a", "b", "c"]}),
            r"classes must have one name for each of the model's 2 outputs \(shape \[1, 2, 8, 8\]\), got 3 names",
            id="three-names-for-two",
        ),
        pytest.param(
            unet_package({"task": "classification"}),
            r"a classification model must give \(B, K\) scores, got \[1, 2, 8, 8\]; set output.name, or task",
            id="classes-from-a-map",
        ),
        pytest.param(
            package_of(channel_means(), {"task": "segmentation"}),
            r"a segmentation model must give \(B, K, h, w\) scores, got \[1, 3\]; set output.name, or task",
            id="a-map-from-classes",
        ),
        pytest.param(
            package_of(channel_means(), {"classes": ["a", "b"]}), "the model's 3 outputs .*, got 2 names", id="classes"
        ),
        pytest.param(
            package_of(channel_means(), {"output": {"name": "logits"}}),
            "output.name must be one of scores, got 'logits'; correct model.yaml",
            id="output-name",
        ),
        pytest.param(
            package_of(no_batch_axis()),
            "must give one output for each image of a batch, got 1 for 2",
            id="no-batch-axis",
        ),
        pytest.param(
            package_of(pixel_planes(np.eye(1, 3)), {"task": "segmentation", "classes": ["a", "b"]}),
            "output.activation must be sigmoid or none for a model with one output plane, got softmax",
            id="softmax-of-one-plane",
        ),
        pytest.param(
            package_of(class_ids_graph(), {"task": "classification"}),
            r"output ids must be floating-point scores, got int64\[1, 8, 8\]; set output.name .* or export the model",
            id="class-ids",
        ),
    ],
)
def test_a_package_that_cannot_work_is_refused_before_any_image(package: ModelPackage, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check(package)


class OneAtATime(nn.Module):
    """A model that was written for single images."""

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > 1:
            raise ValueError("one image at a time")
        return images.mean(dim=(2, 3))


def test_a_model_that_takes_one_image_at_a_time_works() -> None:
    package = package_of(b"")
    engine = TorchEngine(TorchModel(module=OneAtATime()), input_spec(), device="cpu", precision="fp32", num_threads=0)
    runner = Runner(engine, build_task(package.spec), batch_size=4)
    check_runner(package, runner)
    preparer = build_preparer(package)
    items = [preparer.prepare(np.zeros((8, 8, 3), np.uint8), image_id=str(index)) for index in range(3)]
    assert [item.status for item in runner.infer(items)] == ["ok"] * 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"size_hw": [5, 7]}, (5, 7)),
        ({"fit": "native", "size_hw": None, "multiple_px": 8}, (256, 256)),
        ({"fit": "native", "size_hw": None, "multiple_px": 100}, (300, 300)),
    ],
    ids=["given", "native", "native-of-a-large-multiple"],
)
def test_the_blank_image_has_a_size_that_the_spec_allows(options: dict[str, Any], expected: tuple[int, int]) -> None:
    assert blank_hw(input_spec(options)) == expected


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_core_loads_neither_torch_nor_ray() -> None:
    code = """
import sys
import inference_core, inference_core.pipeline, inference_core.predictor, inference_core.cli
print([name for name in ("torch", "ray", "onnxruntime") if name in sys.modules])
"""
    assert run_python(code) == "[]\n"


def test_an_onnx_package_runs_without_torch(tmp_path: Path) -> None:
    folder = tiny_classifier(tmp_path)
    code = f"""
import sys
import numpy as np
from inference_core.predictor import Predictor
prediction = Predictor.load({str(folder)!r}, device="cpu").predict(np.zeros((9, 9, 3), np.uint8))
print(prediction.status, "torch" in sys.modules)
"""
    assert run_python(code) == "ok False\n"
