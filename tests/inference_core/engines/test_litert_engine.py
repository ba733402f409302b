from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference_core.engines.build import build_engine
from inference_core.engines.litert_engine import dequantise, quantise
from inference_core.errors import EngineError, ModelError
from inference_core.models.package import ModelPackage, load_package
from tests.format_packages import mobilenet_025_package, resnet8_package
from tests.specs import package_of

pytest.importorskip("ai_edge_litert", reason="the extra litert is not installed")

UINT8 = {"dtype": np.uint8, "quantization": (0.5, 10)}
INT8 = {"dtype": np.int8, "quantization": (0.25, -3)}
PLAIN = {"dtype": np.float32, "quantization": (0.0, 0)}


@pytest.mark.parametrize(
    ("values", "tensor", "expected"),
    [
        pytest.param([], UINT8, [], id="empty"),
        pytest.param([0.0, 0.5, -5.0, 122.5], UINT8, [10, 11, 0, 255], id="uint8"),
        pytest.param([-100.0, 1000.0], UINT8, [0, 255], id="clipped"),
        pytest.param([0.25, 0.75, -0.25, -0.75], UINT8, [11, 12, 9, 8], id="half-away-from-zero"),
        pytest.param([0.0, 1.0, -40.0, 40.0], INT8, [-3, 1, -128, 127], id="int8"),
    ],
)
def test_real_values_become_integers(values: list[float], tensor: dict[str, object], expected: list[int]) -> None:
    found = quantise(np.asarray(values, np.float32), tensor=tensor)
    assert found.dtype == tensor["dtype"]
    assert found.tolist() == expected


@pytest.mark.parametrize("tensor", [UINT8, INT8], ids=["uint8", "int8"])
def test_integers_come_back_from_what_they_stand_for(tensor: dict[str, type[np.integer]]) -> None:
    limits = np.iinfo(tensor["dtype"])
    every = np.arange(limits.min, limits.max + 1).astype(tensor["dtype"])
    np.testing.assert_array_equal(quantise(dequantise(every, tensor=tensor), tensor=tensor), every)


def test_real_numbers_stay() -> None:
    values = np.float32([0.1, -3])
    assert quantise(values, tensor=PLAIN).tolist() == dequantise(values, tensor=PLAIN).tolist() == values.tolist()


def test_integers_without_a_scale_stay_as_output_and_are_refused_as_input() -> None:
    ids: NDArray[np.int64] = np.array([[3, 1]])
    tensor = {"dtype": np.int64, "quantization": (0.0, 0)}
    assert dequantise(ids, tensor=tensor).tolist() == [[3, 1]]
    with pytest.raises(ModelError, match="must be floating-point or quantised with a scale, got int64 without"):
        quantise(np.float32([1]), tensor=tensor)


@pytest.mark.parametrize("data", [b"", b"no graph"], ids=["empty", "text"])
def test_other_files_are_refused(data: bytes) -> None:
    package = package_of(data, {"format": "tflite", "weights": "tiny.tflite"})
    with pytest.raises(ModelError, match=r"weights must be a TFLite graph that this LiteRT opens, got tiny\.tflite"):
        build_engine(package, device="cpu", precision="fp32", num_threads=1)


@pytest.fixture(scope="module")
def quantised(tmp_path_factory: pytest.TempPathFactory, assets: Path) -> ModelPackage:
    return load_package(str(mobilenet_025_package(tmp_path_factory.mktemp("quant"), assets, kind="tflite")))


@pytest.fixture(scope="module")
def floating(tmp_path_factory: pytest.TempPathFactory, assets: Path) -> ModelPackage:
    return load_package(str(resnet8_package(tmp_path_factory.mktemp("float"), assets, kind="tflite")))


@pytest.mark.assets
def test_a_quantised_graph_gives_probabilities_one_image_at_a_time(quantised: ModelPackage) -> None:
    engine = build_engine(quantised, device="cpu", precision="fp32", num_threads=1)
    assert engine.facts.max_batch == 1
    assert str(engine.facts) == "litert on cpu, int8"
    batch = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    (probs,) = engine.run(batch[:1]).values()
    assert probs.shape == (1, 1001)
    assert float(probs.sum()) == pytest.approx(1, abs=0.25)  # 1,001 values rounded to steps of 1/256
    assert probs.dtype == np.float32
    with pytest.raises(EngineError):
        engine.run(batch)
    assert engine.run(batch[:1])[next(iter(engine.run(batch[:1])))].tolist() == probs.tolist()


@pytest.mark.assets
def test_a_graph_with_a_free_batch_takes_any_and_keeps_answers_apart(floating: ModelPackage) -> None:
    engine = build_engine(floating, device="cpu", precision="fp32", num_threads=1)
    assert engine.facts.max_batch is None
    batch = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    (whole,) = engine.run(batch).values()
    single = np.concatenate([next(iter(engine.run(batch[i : i + 1]).values())) for i in range(5)])
    np.testing.assert_allclose(whole, single, atol=1e-6)


@pytest.mark.assets
def test_the_input_of_another_size_is_refused(floating: ModelPackage) -> None:
    wrong = package_of(
        floating.weights.data,
        {"format": "tflite", "weights": "a.tflite", "input": {"fit": "stretch", "size_hw": [30, 32], "layout": "BHWC"}},
    )
    with pytest.raises(ModelError, match="the graph takes 32 along H"):
        build_engine(wrong, device="cpu", precision="fp32", num_threads=1)
