from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from inference_core import storage
from inference_core.errors import ConfigError, ModelError
from inference_core.models.package import ModelPackage, model_digest
from inference_core.models.torch_module import TorchModel, build_module
from inference_core.models.weights import Weights, read_weights
from tests.hub_models import DETR, build_huggingface, save_huggingface
from tests.specs import model_spec


def read(folder: Path) -> Weights:
    return read_weights(storage.normalise(str(folder)), weights_format="huggingface")


def load(folder: Path, **facts: Any) -> TorchModel:
    spec = model_spec({"format": "huggingface", "weights": "model", **facts})
    weights = read(folder)
    return build_module(
        ModelPackage(
            uri="",
            spec=spec,
            weights_uri="",
            weights=weights,
            digest=model_digest(spec, weights_sha256=weights.sha256),
        )
    )


def rewrite(folder: Path, **facts: Any) -> None:
    """Change keys of ``config.json``; None takes one away."""
    path = folder / "config.json"
    changed = {**json.loads(path.read_text()), **facts}
    path.write_text(json.dumps({key: value for key, value in changed.items() if value is not None}))


def change_weights(folder: Path, change: Any) -> None:
    """Rewrite ``model.safetensors``."""
    state = safetensors.torch.load_file(folder / "model.safetensors")
    change(state)
    safetensors.torch.save_file(state, folder / "model.safetensors")


def images(side_px: int = 64) -> torch.Tensor:
    return torch.rand(2, 3, side_px, side_px, generator=torch.Generator().manual_seed(0))


def assert_answers_alike(model: TorchModel, reference: Any) -> None:
    with torch.inference_mode():
        found, expected = model.module(images()), reference(images())
        for name, values in found.items():
            torch.testing.assert_close(values, expected[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["one file", "shards", "pickled", "pickled shards"])
def test_weights_however_they_were_saved(kind: str, tmp_path: Path) -> None:
    options = {"max_shard_size": "20KB"} if "shards" in kind else {}
    model, _ = save_huggingface(tmp_path, "vit", **options)
    if "pickled" in kind:
        to_pickles(tmp_path)
    weights = read(tmp_path)
    assert "config.json" in weights.files
    assert "preprocessor_config.json" not in weights.files
    assert (len(weights.files) > 3) == ("shards" in kind)
    assert_answers_alike(load(tmp_path), model)


def to_pickles(folder: Path) -> None:
    """Turn safetensors into what older versions of transformers saved."""
    for path in list(folder.glob("*.safetensors")):
        name = path.name.replace("model", "pytorch_model").replace(".safetensors", ".bin")
        torch.save(safetensors.torch.load_file(path), folder / name)
        path.unlink()
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        text = index.read_text().replace("model-", "pytorch_model-").replace(".safetensors", ".bin")
        (folder / "pytorch_model.bin.index.json").write_text(text)
        index.unlink()


def test_only_what_a_task_reads_is_given(tmp_path: Path) -> None:
    save_huggingface(tmp_path, "vit")
    outputs = load(tmp_path).module(images())
    assert {name: tuple(values.shape) for name, values in outputs.items()} == {"logits": (2, 3)}


def test_weights_in_half_precision_run_in_full(tmp_path: Path) -> None:
    build_huggingface("vit").half().save_pretrained(tmp_path)
    module = load(tmp_path).module
    assert {weight.dtype for weight in module.parameters()} == {torch.float32}


def test_an_embedding_leaves_the_head_out_and_says_so(tmp_path: Path) -> None:
    model, _ = save_huggingface(tmp_path, "vit")
    features = load(tmp_path, task="embedding", classes=None, output={"name": "cls_token"})
    (note,) = features.notes
    assert note.endswith("left out 2 other keys (classifier.bias, classifier.weight) of another task's head")
    assert_answers_alike(features, lambda values: {"cls_token": model.vit(values).last_hidden_state[:, 0]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda state: state.pop("classifier.bias"),
            r"must fit config.json, got .* with 1 missing key \(classifier.bias\) and 0 unexpected keys; set the task",
            id="missing",
        ),
        pytest.param(
            lambda state: state.update({"head.weight": torch.zeros(1)}),
            r"0 missing keys and 1 unexpected key \(head.weight\)",
            id="unexpected",
        ),
        pytest.param(
            lambda state: state.update({"classifier.bias": torch.zeros(5)}),
            r"must have the shapes of config.json, got .* with 1 differing key \(classifier.bias \[5\] for \[3\]\)",
            id="classes",
        ),
    ],
)
def test_weights_that_do_not_fit(change: Any, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save_huggingface(tmp_path, "vit")
    change_weights(tmp_path, change)
    capfd.readouterr()
    with pytest.raises(ModelError, match=message):
        load(tmp_path)
    assert capfd.readouterr() == ("", "")  # transformers would print a report of its own


def test_pooling_that_the_weights_lack(tmp_path: Path) -> None:
    save_huggingface(tmp_path, "vit")  # a classifier, which has no pooler
    with pytest.raises(ModelError, match=r"with 2 missing keys \(pooler.dense.bias, pooler.dense.weight\)"):
        load(tmp_path, task="embedding", classes=None, output={"name": "pooler_output"})


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        pytest.param({"model_type": "xyzzy"}, "got model_type 'xyzzy' in .*; install a newer version", id="unknown"),
        pytest.param(
            {"model_type": "xyzzy", "auto_map": {"AutoModel": "own.Model"}},
            "'xyzzy' in .*, and its own code is not run; install",
            id="code of its own",
        ),
        pytest.param({"model_type": None}, "got model_type None", id="none"),
        pytest.param({"model_type": "bert"}, "got classification for model_type bert, which has no head", id="texts"),
        pytest.param({"hidden_size": "wide"}, "config.json must be one of transformers, got .*hidden_size", id="type"),
        pytest.param({"hidden_act": "xyzzy"}, "that this transformers .* builds, got .*xyzzy", id="value"),
    ],
)
def test_configurations_that_cannot_be_built(facts: dict[str, Any], message: str, tmp_path: Path) -> None:
    save_huggingface(tmp_path, "vit")
    rewrite(tmp_path, **facts)
    with pytest.raises(ModelError, match=message):
        load(tmp_path)


def test_code_beside_a_known_model_is_not_run(tmp_path: Path) -> None:
    model, _ = save_huggingface(tmp_path, "vit")
    rewrite(tmp_path, auto_map={"AutoModelForImageClassification": "own.Model", "AutoConfig": "own.Config"})
    (tmp_path / "own.py").write_text("raise SystemExit('code of the model was run')")
    assert_answers_alike(load(tmp_path), model)


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_a_task_that_the_model_has_no_head_for(task: str, tmp_path: Path) -> None:
    save_huggingface(tmp_path, "vit")
    output = {"decoder": {"name": "detr"}} if task == "detection" else {}
    with pytest.raises(
        ModelError, match=f"task must be one of the model's, got {task} for model_type vit, which has no"
    ):
        load(tmp_path, task=task, output=output)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(
            {}, r"the folder of a model, got .* without config.json; save it with save_pretrained", id="empty"
        ),
        pytest.param({"config.json": "{}"}, r"without model.safetensors or pytorch_model.bin", id="no weights"),
        pytest.param(
            {"config.json": "{}", "model.safetensors.index.json": "[]"}, "index.json must map tensors to", id="no index"
        ),
        pytest.param(
            {"config.json": "{}", "model.safetensors.index.json": '{"weight_map": {"a": "../../secret"}}'},
            r"index.json must name files beside it, got '../../secret'",
            id="elsewhere",
        ),
        pytest.param(
            {"config.json": "{}", "model.safetensors.index.json": '{"weight_map": {"a": "model-1.safetensors"}}'},
            r"weights must exist, got .*model-1.safetensors",
            id="a shard is missing",
        ),
    ],
)
def test_folders_that_are_none(files: dict[str, str], message: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ModelError, match=message):
        read(tmp_path)


def test_a_configuration_that_is_no_json(tmp_path: Path) -> None:
    save_huggingface(tmp_path, "vit")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config.json must be JSON, got .*; save the model again"):
        load(tmp_path)


def test_every_byte_of_the_folder_that_counts_is_digested(tmp_path: Path) -> None:
    save_huggingface(tmp_path, "vit")
    before = read(tmp_path).sha256
    (tmp_path / "README.md").write_text("no part of the model")
    assert read(tmp_path).sha256 == before
    rewrite(tmp_path, hidden_act="relu")
    assert read(tmp_path).sha256 != before


def test_which_features_must_be_said() -> None:
    message = "output.name must be one of pooler_output, mean_token, .* with task embedding and format huggingface, got"
    with pytest.raises(ConfigError, match=message):
        model_spec({"format": "huggingface", "weights": "model", "task": "embedding", "classes": None})


def test_features_that_a_model_does_not_have(tmp_path: Path) -> None:
    save_huggingface(tmp_path, "dinov2")
    with pytest.raises(
        ModelError, match=r"output.name image_features must go with a model of images and texts, got Dino"
    ):
        load(tmp_path, task="embedding", classes=None, output={"name": "image_features"})


def test_without_transformers_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_huggingface(tmp_path, "vit")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        ConfigError, match=r"format huggingface needs transformers; pip install 'millrace\[huggingface\]'"
    ):
        load(tmp_path)


def test_a_backbone_that_its_configuration_would_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As facebook/detr-resnet-50 has it: the backbone is one of timm's, with weights of its own.
    pytest.importorskip("timm")
    transformers = pytest.importorskip("transformers")
    facts = {
        **DETR,
        "model_type": "detr",
        "architectures": ["DetrForObjectDetection"],
        "backbone": "test_resnet",
        "use_timm_backbone": True,
        "use_pretrained_backbone": True,
        "id2label": {"0": "ant", "1": "bee", "2": "cat"},
    }
    plain = transformers.DetrConfig.from_dict({**facts, "use_pretrained_backbone": False})
    model = transformers.DetrForObjectDetection(plain).eval()
    model.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(facts))

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    loaded = load(tmp_path, task="detection", output={"decoder": {"name": "detr"}})
    assert_answers_alike(loaded, model)
