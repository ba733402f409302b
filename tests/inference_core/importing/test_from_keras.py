from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from inference_core.errors import ModelError
from inference_core.importing.draft import Draft
from inference_core.importing.from_keras import draft_keras, find_ending, flat_layers, list_inputs
from inference_core.models.keras_module import import_keras
from inference_core.models.weights import Weights, read_weights

# Of Keras, where it turns tensors of torch into arrays to save them.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def save(folder: Path, *layers: Any, ending: str = ".keras") -> Weights:
    """A model of layers in a row."""
    keras = import_keras()
    path = folder / f"model{ending}"
    keras.Sequential([keras.Input((8, 12, 3)), *layers]).save(path)
    return read_weights(str(path), weights_format="keras")


def facts(draft: Draft) -> dict[str, Any]:
    return {fact.key: fact.value for fact in (*draft.assumed, *draft.found)}


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_layers_that_scale_the_pixels_are_found(ending: str, tmp_path: Path) -> None:
    layers = import_keras().layers
    weights = save(
        tmp_path,
        layers.Rescaling(1 / 127.5, offset=-1),
        layers.GlobalAveragePooling2D(),
        layers.Dense(5, activation="softmax"),
        ending=ending,
    )
    draft = draft_keras(weights, given={})
    known = facts(draft)
    assert (known["input.scale"], known["input.mean"], known["input.std"]) == (1.0, [0.0], [1.0])
    assert (known["input.layout"], known["input.size_hw"]) == ("BHWC", [8, 12])
    assert (known["task"], known["output.activation"]) == ("classification", "none")
    assert [gap.key for gap in draft.missing] == ["input.fit", "classes"]
    assert {"input.scale", "output.activation"} <= {fact.key for fact in draft.found}


def test_a_layer_that_normalises_is_assumed_to_take_pixels(tmp_path: Path) -> None:
    layers = import_keras().layers
    weights = save(
        tmp_path,
        layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 1.0, 1.0]),
        layers.GlobalAveragePooling2D(),
        layers.Dense(2, activation="sigmoid"),
    )
    draft = draft_keras(weights, given={})
    assert "input.scale" in {fact.key for fact in draft.assumed}
    assert (facts(draft)["task"], facts(draft)["output.activation"]) == ("multilabel", "none")


def test_planes_are_last_in_a_keras_model(tmp_path: Path) -> None:
    draft = draft_keras(save(tmp_path, import_keras().layers.Conv2D(4, 1)), given={})
    assert (facts(draft)["task"], facts(draft)["output.layout"]) == ("segmentation", "BHWC")
    assert [gap.key for gap in draft.missing] == ["input.fit", "input.scale", "input.mean", "input.std", "classes"]


def layer(name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": name, "config": config}


@pytest.mark.parametrize(
    ("layers", "ending"),
    [
        ([], None),
        ([layer("Dense", activation="softmax")], "softmax"),
        ([layer("Dense", activation="linear")], None),
        ([layer("Dense"), layer("Activation", activation="sigmoid")], "sigmoid"),
        ([layer("Dense"), layer("Softmax"), layer("Reshape")], "softmax"),
        ([layer("Sequential", layers=[layer("Dense", activation="softmax")])], "softmax"),
        ([layer("Dense", activation={"class_name": "Function"})], None),
    ],
    ids=["none", "dense", "linear", "activation", "reshaped", "nested", "of-ones-own"],
)
def test_the_last_activation(layers: list[dict[str, Any]], ending: str | None) -> None:
    assert find_ending(list(flat_layers(layer("Sequential", layers=layers)))) == ending


@pytest.mark.parametrize(
    ("layers", "shapes"),
    [
        ([layer("InputLayer", batch_shape=[None, 8, 8, 3])], [(None, 8, 8, 3)]),
        ([layer("InputLayer", batch_input_shape=[None, 8, 8, 3])], [(None, 8, 8, 3)]),
        ([layer("Conv2D", batch_input_shape=[None, 8, 8, 1])], [(None, 8, 8, 1)]),
        ([layer("Functional", layers=[layer("InputLayer", batch_shape=[1, 4, 4, 3])])], [(1, 4, 4, 3)]),
        ([layer("Conv2D")], [(None, None, None, 3)]),
        ([layer("InputLayer", batch_shape=[1, 2]), layer("InputLayer", batch_shape=[1, 3])], [(1, 2), (1, 3)]),
        ([], []),
    ],
    ids=["keras-3", "keras-2", "sequential", "nested", "untold", "two", "none"],
)
def test_inputs(layers: list[dict[str, Any]], shapes: list[tuple[int | None, ...]]) -> None:
    assert [port.shape for port in list_inputs(layer("Functional", layers=layers))] == shapes


@pytest.mark.parametrize("config", [None, {}, {"class_name": "Sequential"}], ids=["absent", "empty", "without-layers"])
def test_weights_alone_are_no_model(config: dict[str, Any] | None, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        if config is not None:
            archive.writestr("config.json", json.dumps(config))
    with pytest.raises(ModelError, match=r"must be a whole Keras model, got model\.keras with weights alone"):
        draft_keras(read_weights(str(path), weights_format="keras"), given={})
