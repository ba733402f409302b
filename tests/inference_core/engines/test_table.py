from __future__ import annotations

import sys
from typing import Any, get_args

import pytest

from inference_core.architecture_spec import Format
from inference_core.engines.build import build_engine
from inference_core.engines.onnx_engine import list_providers
from inference_core.engines.protocol import EngineName
from inference_core.engines.table import ENGINES_OF_FORMAT, MODULE_OF_ENGINE, resolve_engine
from inference_core.errors import ConfigError
from tests.specs import package_of

ALL = ["CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"]


def test_every_format_has_an_engine_and_every_engine_a_library() -> None:
    assert set(ENGINES_OF_FORMAT) == set(get_args(Format))
    assert set(MODULE_OF_ENGINE) == set(get_args(EngineName))
    assert {engine for engines in ENGINES_OF_FORMAT.values() for engine in engines} == set(MODULE_OF_ENGINE)


@pytest.mark.parametrize("weights_format", get_args(Format))
def test_the_default_is_the_formats_own(weights_format: Format) -> None:
    for module in {MODULE_OF_ENGINE[engine] for engine in ENGINES_OF_FORMAT[weights_format]}:
        pytest.importorskip(module)
    expected = ENGINES_OF_FORMAT[weights_format][0]
    assert resolve_engine("default", weights_format=weights_format, device="cpu") == expected


@pytest.mark.parametrize(
    ("engine", "device", "message"),
    [
        pytest.param("openvino", "cuda:0", "must be another one on cuda:0, got 'openvino'; set device cpu", id="gpu"),
        pytest.param("tensorrt", "cpu", "must be another one on the CPU, got 'tensorrt'; set device cuda", id="cpu"),
        pytest.param("torch", "cpu", "must be default, onnxruntime or .* for format onnx, got 'torch'", id="format"),
        pytest.param("", "cpu", "must be default, .* got ''; correct it", id="empty"),
    ],
)
def test_an_engine_that_cannot_run_is_refused(engine: str, device: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_engine(engine, weights_format="onnx", device=device)


@pytest.mark.parametrize("weights_format", ["tflite", "savedmodel"])
def test_a_format_that_only_cpus_run_is_refused_on_cuda(weights_format: Format) -> None:
    with pytest.raises(ConfigError, match=r"engine: must be another one on cuda:0, got '.*'; set device cpu"):
        resolve_engine("default", weights_format=weights_format, device="cuda:0")


@pytest.mark.parametrize(
    ("module", "options", "extra"),
    [
        pytest.param("onnxruntime", {"format": "onnx"}, "onnx", id="onnx"),
        pytest.param("openvino", {"format": "savedmodel"}, "openvino", id="openvino"),
        pytest.param("ai_edge_litert.interpreter", {"format": "tflite"}, "litert", id="litert"),
    ],
)
def test_without_an_extra_the_error_names_it(
    monkeypatch: pytest.MonkeyPatch, module: str, options: dict[str, Any], extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    engine = ENGINES_OF_FORMAT[options["format"]][0]
    with pytest.raises(ConfigError, match=rf"pip install 'millrace\[{extra}\]'"):
        build_engine(package_of(b"", options), device="cpu", precision="fp32", num_threads=1, engine=engine)


@pytest.mark.parametrize("option", [{"compiles": True}, {"cuda_graphs": True}], ids=str)
def test_only_torch_compiles(option: dict[str, bool]) -> None:
    with pytest.raises(ConfigError, match="engine: must be torch to compile or to record CUDA graphs, got 'onnx"):
        build_engine(package_of(b""), device="cpu", precision="fp32", num_threads=1, **option)


@pytest.mark.parametrize(
    ("device", "uses_tensorrt", "expected"),
    [
        pytest.param("cpu", False, ALL[:1], id="cpu"),
        pytest.param("cuda:1", False, [ALL[1], ALL[0]], id="cuda"),
        pytest.param("cuda:1", True, [ALL[2], ALL[1], ALL[0]], id="tensorrt"),
    ],
)
def test_providers_by_device(device: str, uses_tensorrt: bool, expected: list[str]) -> None:
    found = list_providers(ALL, device=device, uses_tensorrt=uses_tensorrt, allows_fp16=True)
    assert [name for name, _ in found] == expected
    assert all(options["device_id"] == 1 for _, options in found[:-1])
    assert [options["trt_fp16_enable"] for name, options in found if name.startswith("Tensorrt")] == [
        True
    ] * uses_tensorrt


@pytest.mark.parametrize(
    ("available", "missing"),
    [
        pytest.param(ALL[:1], "TensorRT provider and CUDA provider;", id="cpu-build"),
        pytest.param(ALL[:2], "TensorRT provider;", id="cuda-build"),
    ],
)
def test_providers_that_are_not_there_are_named(available: list[str], missing: str) -> None:
    with pytest.raises(ConfigError, match=f"device cuda:0 needs ONNX Runtime's {missing}"):
        list_providers(available, device="cuda:0", uses_tensorrt=True, allows_fp16=False)
