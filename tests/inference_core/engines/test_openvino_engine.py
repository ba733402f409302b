from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from inference_core.engines.build import build_engine
from inference_core.engines.cpu_features import has_bf16
from inference_core.engines.openvino_engine import OpenVinoEngine, open_core
from inference_core.errors import ConfigError, EngineError, ModelError
from inference_core.models.package import load_package
from inference_core.models.weights import Weights
from tests.onnx_graphs import graph_bytes
from tests.specs import input_spec, package_of
from tests.tiny_models import tiny_classifier

openvino = pytest.importorskip("openvino", reason="the extra openvino is not installed")

BATCH = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
POOL = helper.make_node("GlobalAveragePool", ["image"], ["pooled"])


def pooled(batch: int | str, **options: int) -> bytes:
    return graph_bytes([POOL], inputs={"image": [batch, 3, 8, 8]}, outputs={"pooled": [batch, 3, 1, 1]}, **options)


def engine_of(data: bytes, *, precision: str = "fp32", num_threads: int = 1) -> OpenVinoEngine:
    built = build_engine(
        package_of(data), device="cpu", precision=precision, num_threads=num_threads, engine="openvino"
    )
    assert isinstance(built, OpenVinoEngine)
    return built


def test_an_onnx_graph_gives_what_onnx_runtime_gives(tmp_path: Path) -> None:
    package = load_package(str(tiny_classifier(tmp_path, depth=3)))
    found, expected = (
        build_engine(package, device="cpu", precision="fp32", num_threads=1, engine=engine).run(BATCH)
        for engine in ("openvino", "onnxruntime")
    )
    assert list(found) == list(expected) == ["logits"]
    np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-5)


def test_the_outputs_of_one_forward_outlive_the_next() -> None:
    engine = engine_of(pooled("batch"))
    first = engine.run(BATCH[:, :8, :8])["pooled"]
    before = first.copy()
    engine.run(255 - BATCH[:, :8, :8])
    np.testing.assert_array_equal(first, before)


def test_an_ir_gives_what_its_onnx_gives(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(pooled("batch"))
    openvino.save_model(openvino.Core().read_model(tmp_path / "net.onnx"), tmp_path / "net.xml", compress_to_fp16=False)
    files = {f"model.{end}": (tmp_path / f"net.{end}").read_bytes() for end in ("xml", "bin")}
    engine = OpenVinoEngine(Weights(name="net", files=files), input_spec(), precision="fp32", num_threads=1)
    expected = BATCH[:, :8, :8].mean((1, 2)) / 255
    np.testing.assert_allclose(engine.run(BATCH[:, :8, :8])["pooled"][..., 0, 0], expected, atol=1e-6)


@pytest.mark.parametrize(("fixed", "count"), [(1, 1), (4, 4), (4, 3), (4, 1)], ids=str)
def test_a_fixed_batch_is_filled_up(fixed: int, count: int) -> None:
    engine = engine_of(pooled(fixed))
    assert engine.facts.max_batch == fixed
    batch = np.resize(BATCH[:, :8, :8], (count, 8, 8, 3))
    found = engine.run(batch)["pooled"]
    np.testing.assert_allclose(found[..., 0, 0], batch.mean((1, 2)) / 255, atol=1e-6)


def test_a_batch_above_the_fixed_one_is_refused() -> None:
    with pytest.raises(EngineError):
        engine_of(pooled(1)).run(BATCH[:2, :8, :8])


@pytest.mark.skipif(not has_bf16(), reason="this processor has no bf16")
def test_bf16_is_what_is_asked_for(tmp_path: Path) -> None:
    package = load_package(str(tiny_classifier(tmp_path, depth=3)))
    exact, low = (
        build_engine(package, device="cpu", precision=precision, num_threads=1, engine="openvino")
        for precision in ("fp32", "bf16")
    )
    assert str(low.facts) == "openvino on cpu, bf16"
    difference = np.abs(low.run(BATCH)["logits"] - exact.run(BATCH)["logits"]).max()
    assert 0 < difference < 0.1  # logits of about 1 with 8 bits each


def test_openvino_and_this_package_agree_about_bf16() -> None:
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert has_bf16() == ("BF16" in capabilities)


def test_threads_are_not_pinned_and_as_many_as_asked() -> None:
    compiled = engine_of(pooled("batch"), num_threads=2)._request.get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 2
    assert compiled.get_property("ENABLE_CPU_PINNING") is False


def test_a_cache_keeps_the_compiled_model_and_the_answers(tmp_path: Path) -> None:
    weights = Weights(name="net.onnx", files={"net.onnx": pooled("batch")})
    first, second = (
        OpenVinoEngine(weights, input_spec(), precision="fp32", num_threads=1, cache_dir=str(tmp_path / "cache"))
        for _ in range(2)
    )
    assert list((tmp_path / "cache").iterdir())
    np.testing.assert_array_equal(first.run(BATCH[:, :8, :8])["pooled"], second.run(BATCH[:, :8, :8])["pooled"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "weights must be a graph that OpenVINO reads, got tiny.onnx", id="empty"),
        pytest.param(b"no graph", "weights must be a graph that OpenVINO reads, got tiny.onnx", id="text"),
        pytest.param(
            graph_bytes(
                [helper.make_node("Sum", ["image", "other"], ["sum"])],
                inputs={"image": [1, 3, 8, 8], "other": [1, 3, 8, 8]},
                outputs={"sum": [1, 3, 8, 8]},
            ),
            r"must have one input, got 2 \(image, other\)",
            id="two-inputs",
        ),
        pytest.param(
            graph_bytes(
                [helper.make_node("Identity", ["image"], ["same"])],
                inputs={"image": [1, 3, 8, 8]},
                outputs={"same": [1, 3, 8, 8]},
                input_type=TensorProto.UINT8,
                output_type=TensorProto.UINT8,
            ),
            "does not tell how u8 values were scaled; set engine litert",
            id="uint8",
        ),
        pytest.param(
            graph_bytes([POOL], inputs={"image": [1, 3, 9, 8]}, outputs={"pooled": [1, 3, 1, 1]}),
            "the graph takes 9 along H",
            id="height",
        ),
    ],
)
def test_a_graph_that_does_not_fit_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        engine_of(data)


def test_half_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="precision: must be fp32 or bf16 with engine openvino, got 'fp16'"):
        open_core(precision="fp16")
