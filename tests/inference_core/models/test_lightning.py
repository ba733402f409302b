from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inference_core.errors import ConfigError, ModelError
from inference_core.models.torch_module import TorchModel, build_module
from tests import lightning_nets
from tests.lightning_nets import SIDE_PX, train
from tests.specs import package_of

MODULE = "tests.lightning_nets"
MAKERS: dict[str, Callable[[], Any]] = {
    "plain": lambda: lightning_nets.Classifier(width=5, data=Path("data") / "images"),
    "namespace": lambda: lightning_nets.NamespaceClassifier(argparse.Namespace(width=6, num_classes=3, lr=0.1)),
    "compiled": lightning_nets.CompiledClassifier,
    "averaged": lightning_nets.AveragedClassifier,
    "keeper": lambda: lightning_nets.LossKeeper(lightning_nets.MeanLoss()),
    "segmenter": lightning_nets.Segmenter,
}


@cache
def trained(kind: str) -> tuple[bytes, Any]:
    """A checkpoint and the module that it was written of."""
    torch.manual_seed(0)
    module = MAKERS[kind]()
    with TemporaryDirectory() as folder:
        return train(module, Path(folder) / "last.ckpt"), module.eval()


def load(data: bytes, architecture: dict[str, Any], **options: Any) -> TorchModel:
    facts = {"format": "lightning", "weights": "last.ckpt", "architecture": architecture, **options}
    return build_module(package_of(data, facts))


def assert_answers_alike(model: TorchModel, reference: Callable[[Tensor], Tensor]) -> None:
    values = torch.rand(2, 3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(model.module(values), reference(values), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "architecture"),
    [
        pytest.param("plain", {"import": f"{MODULE}:Classifier", "options": {"width": 5}}, id="the users class"),
        pytest.param("plain", {"import": f"{MODULE}:Classifier", "hyper_parameters": True}, id="its hyper-parameters"),
        pytest.param("plain", {"import": f"{MODULE}:build_net", "hyper_parameters": True}, id="the network in it"),
        pytest.param("plain", {"import": f"{MODULE}:build_net", "hyper_parameters": ["width"]}, id="one by name"),
        pytest.param(
            "plain",
            {"import": f"{MODULE}:build_net", "options": {"width": 5}, "prefix": "model"},
            id="a prefix that is said",
        ),
        pytest.param(
            "namespace", {"import": f"{MODULE}:NamespaceClassifier", "hyper_parameters": True}, id="one object"
        ),
        pytest.param("namespace", {"import": f"{MODULE}:build_net", "hyper_parameters": True}, id="out of a namespace"),
        pytest.param("compiled", {"import": f"{MODULE}:CompiledClassifier"}, id="a compiled class"),
        pytest.param("compiled", {"import": f"{MODULE}:build_net"}, id="a compiled network"),
        pytest.param("averaged", {"import": f"{MODULE}:build_net", "prefix": "model."}, id="beside an average"),
    ],
)
def test_checkpoints_of_the_real_trainer(kind: str, architecture: dict[str, Any]) -> None:
    data, module = trained(kind)
    assert_answers_alike(load(data, architecture), module)


def test_options_win_over_hyper_parameters() -> None:
    data, _ = trained("plain")
    with pytest.raises(
        ModelError, match=r"weights must have the architecture's shapes, got last.ckpt with 7 differing"
    ):
        load(data, {"import": f"{MODULE}:build_net", "hyper_parameters": True, "options": {"width": 7}})


def test_a_compiled_network_in_a_class_that_does_not_compile_it() -> None:
    data, module = trained("compiled")
    model = load(data, {"import": f"{MODULE}:Classifier"})
    assert_answers_alike(model, module)
    assert model.notes == ("last.ckpt: removed '_orig_mod.' of torch.compile from the names",)


def test_what_is_left_out_is_said() -> None:
    data, _ = trained("plain")
    model = load(data, {"import": f"{MODULE}:build_net", "hyper_parameters": True})
    assert model.notes == (
        "last.ckpt: hyper-parameters that the architecture does not take: data, lr",
        "last.ckpt: removed the prefix 'model.' from the names",
        "last.ckpt: left out 1 other key (loss.weight), outside of it",
    )


def test_a_built_in_architecture_inside_a_module() -> None:
    data, module = trained("segmenter")
    model = load(
        data,
        {"name": "unet", "options": {"in_channels": 3, "num_classes": 2}, "hyper_parameters": ["widths"]},
        task="segmentation",
        classes=["background", "cell"],
    )
    assert_answers_alike(model, module.net)
    assert model.notes == ("last.ckpt: removed the prefix 'net.' from the names",)


@pytest.mark.parametrize(
    ("kind", "architecture", "message"),
    [
        pytest.param(
            "averaged",
            {"import": f"{MODULE}:build_net"},
            r"architecture.prefix: must name one of the parts that fit the architecture "
            r"\('ema_model.', 'model.'\), got none; set the one",
            id="two parts fit",
        ),
        pytest.param(
            "plain",
            {"import": f"{MODULE}:build_net", "prefix": "net"},
            "architecture.prefix: must begin names of the weights, got 'net'; those there are: loss, model",
            id="no such part",
        ),
        pytest.param(
            "plain",
            {"import": f"{MODULE}:build_net", "hyper_parameters": ["width", "depth"]},
            r"architecture.hyper_parameters: must be among those of last.ckpt \(data, lr, num_classes, width\), got "
            "depth",
            id="no such hyper-parameter",
        ),
        pytest.param(
            "compiled",
            {"import": f"{MODULE}:build_net", "hyper_parameters": True},
            "architecture.hyper_parameters: must be false with last.ckpt, which holds none",
            id="none at all",
        ),
        pytest.param(
            "plain",
            {"import": f"{MODULE}:build_net", "hyper_parameters": ["lr"]},
            "architecture: tests.lightning_nets:build_net refused the options {'lr': 0.1}: .*'lr'; correct them",
            id="one that does not fit",
        ),
    ],
)
def test_facts_that_do_not_fit_the_checkpoint(kind: str, architecture: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(trained(kind)[0], architecture)


def test_another_network_names_what_does_not_fit() -> None:
    with pytest.raises(ModelError, match=r"weights must fit the architecture, got last.ckpt with \d+ missing keys"):
        load(trained("plain")[0], {"name": "unet", "options": {"in_channels": 3, "num_classes": 3}})


def test_code_among_the_hyper_parameters_is_refused_by_name() -> None:
    with pytest.raises(
        ModelError, match=r"got last.ckpt with .*tests.lightning_nets.MeanLoss.*leave such objects out of save_hyper"
    ):
        load(trained("keeper")[0], {"import": f"{MODULE}:build_net"})


def test_a_file_of_another_kind_names_its_format() -> None:
    buffer = io.BytesIO()
    torch.save(nn.Linear(2, 2).state_dict(), buffer)
    with pytest.raises(ModelError, match=r"a checkpoint of Lightning, got last.ckpt without 'state_dict' \(it has 2"):
        load(buffer.getvalue(), {"import": "torch.nn:Linear"})
