from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core.engines.build import build_engine
from inference_core.errors import ConfigError, ModelError
from inference_core.models.package import ModelPackage
from tests.specs import package_of

BATCH = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
INPUT = {"fit": "stretch", "size_hw": [8, 8], "layout": "BHWC"}


@pytest.fixture(scope="module")
def keras() -> Any:
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"
    return pytest.importorskip("keras", reason="the extra keras is not installed")


def package(data: bytes, *, name: str = "tiny.keras", **input_options: Any) -> ModelPackage:
    return package_of(data, {"format": "keras", "weights": name, "input": {**INPUT, **input_options}})


def saved(model: Any, folder: Path, *, ending: str = ".keras") -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras's own way of writing arrays
        model.save(folder / f"tiny{ending}")
    return (folder / f"tiny{ending}").read_bytes()


def tiny_model(keras: Any, **conv_options: Any) -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(3, 3, **conv_options)(image)))


def test_a_model_gives_what_keras_gives(keras: Any, tmp_path: Path) -> None:
    model = tiny_model(keras)
    expected = model(BATCH / np.float32(255)).detach().cpu().numpy()
    engine = build_engine(package(saved(model, tmp_path)), device="cpu", precision="auto", num_threads=1)
    assert (engine.facts.engine, engine.facts.precision) == ("torch", "fp32")
    np.testing.assert_allclose(engine.run(BATCH)["output"], expected, atol=1e-6)


def test_code_in_a_model_is_not_run(keras: Any, tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3))
    data = saved(keras.Model(image, keras.layers.Lambda(lambda values: values)(image)), tmp_path)
    with pytest.raises(
        ModelError, match=r"must be a Keras model of built-in layers, got tiny\.keras.*export it as ONNX"
    ):
        build_engine(package(data), device="cpu", precision="fp32", num_threads=1)


@pytest.mark.parametrize("name", ["tiny.keras", "tiny.h5"])
@pytest.mark.parametrize("data", [b"", b"no model"], ids=["empty", "text"])
def test_other_files_are_refused(keras: Any, data: bytes, name: str) -> None:
    with pytest.raises(ModelError, match=f"must be a Keras model of built-in layers, got {name}"):
        build_engine(package(data, name=name), device="cpu", precision="fp32", num_threads=1)


def test_an_ending_that_keras_does_not_know_is_refused() -> None:
    with pytest.raises(ModelError, match=r"must end in \.keras, \.h5, \.hdf5 with format keras, got tiny\.bin"):
        build_engine(package(b"", name="tiny.bin"), device="cpu", precision="fp32", num_threads=1)


def test_a_model_for_another_input_is_refused(keras: Any, tmp_path: Path) -> None:
    data = saved(tiny_model(keras), tmp_path)
    with pytest.raises(ModelError, match=r"the graph takes 8 along H .*the package gives 9; correct input\.size_hw"):
        build_engine(package(data, size_hw=[9, 8]), device="cpu", precision="fp32", num_threads=1)


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ConfigError, match=r"format keras needs Keras 3; pip install 'millrace\[keras\]'"):
        build_engine(package(b""), device="cpu", precision="fp32", num_threads=1)


@pytest.mark.slow
def test_keras_on_another_backend_is_refused(keras: Any, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    script = (
        "import keras\n"
        "from inference_core.models.keras_module import import_keras\n"
        "try:\n    import_keras()\nexcept Exception as exc:\n    print(exc)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "KERAS_BACKEND": "openvino", "KERAS_HOME": str(tmp_path)},
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Keras must run on torch for format keras, got openvino, which was loaded before" in done.stdout


def test_the_older_file_is_read_too(keras: Any, tmp_path: Path) -> None:
    model = tiny_model(keras)
    older = package(saved(model, tmp_path, ending=".h5"), name="tiny.h5")
    newer = package(saved(model, tmp_path))
    found = [build_engine(one, device="cpu", precision="fp32", num_threads=1).run(BATCH) for one in (older, newer)]
    np.testing.assert_array_equal(found[0]["output"], found[1]["output"])
