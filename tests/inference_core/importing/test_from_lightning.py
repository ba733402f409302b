from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from inference_core.errors import ConfigError
from inference_core.importing.draft import Draft
from inference_core.importing.from_lightning import draft_lightning
from inference_core.importing.importer import import_model
from tests import lightning_nets
from tests.lightning_nets import train

MODULE = "tests.lightning_nets"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with checkpoints of the real Trainer."""
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    train(lightning_nets.Classifier(width=5), folder / "classifier.ckpt")
    train(lightning_nets.Segmenter(), folder / "segmenter.ckpt")
    return folder


def facts(draft: Draft) -> dict[str, Any]:
    return {fact.key: fact.value for fact in (*draft.assumed, *draft.found)}


def test_an_unknown_module_is_described(checkpoints: Path) -> None:
    draft = draft_lightning(str(checkpoints / "classifier.ckpt"), given={})
    gaps = {gap.key: gap.reason for gap in draft.missing}
    assert list(gaps) == [
        "input.fit",
        "input.size_hw",
        "input.scale",
        "input.mean",
        "input.std",
        "architecture",
        "task",
        "classes",
    ]
    assert "the module of these 10 weights (9 in model, 1 in loss)" in gaps["architecture"]
    assert "width=5, num_classes=3, lr=0.1, data=None" in gaps["architecture"]
    assert "3 of them" in gaps["classes"]
    assert (facts(draft)["format"], facts(draft)["weights"]) == ("lightning", "classifier.ckpt")


@pytest.mark.parametrize("name", ["Classifier", "build_net"])
def test_a_module_takes_its_hyper_parameters(name: str, checkpoints: Path) -> None:
    draft = draft_lightning(str(checkpoints / "classifier.ckpt"), given={"architecture.import": f"{MODULE}:{name}"})
    (fact,) = [fact for fact in draft.assumed if fact.key == "architecture"]
    assert fact.value == {"import": f"{MODULE}:{name}", "hyper_parameters": True}
    assert "width=5, num_classes=3" in fact.origin
    assert facts(draft)["task"] == "classification"
    assert "3 of them" in next(gap.reason for gap in draft.missing if gap.key == "classes")


def test_the_users_word_on_hyper_parameters_counts(checkpoints: Path) -> None:
    given = {
        "architecture.import": f"{MODULE}:build_net",
        "architecture.hyper_parameters": ["width"],
    }
    draft = draft_lightning(str(checkpoints / "classifier.ckpt"), given=given)
    assert "architecture" not in facts(draft)


def test_the_u_net_that_comes_with_millrace_is_recognised(checkpoints: Path) -> None:
    draft = draft_lightning(str(checkpoints / "segmenter.ckpt"), given={})
    options = {"in_channels": 3, "num_classes": 2, "widths": [2, 4], "upsampling": "transpose"}
    assert facts(draft)["architecture"] == {"name": "unet", "options": options, "prefix": "net."}
    assert facts(draft)["task"] == "segmentation"


def test_a_package_of_a_checkpoint_works(checkpoints: Path, tmp_path: Path) -> None:
    imported = import_model(
        str(checkpoints / "classifier.ckpt"),
        out=str(tmp_path / "package"),
        said={
            "architecture": f"{MODULE}:Classifier",
            "classes": ["ant", "bee", "cat"],
            "input": {"fit": "stretch", "size_hw": [8, 8]},
            "preset": "imagenet",
        },
    )
    spec = imported.package.spec
    assert (spec.format, spec.task) == ("lightning", "classification")
    assert spec.architecture is not None
    assert spec.architecture.hyper_parameters is True


def test_a_module_that_is_none(checkpoints: Path) -> None:
    with pytest.raises(ConfigError, match=r"architecture.import: must be importable, got 'no_such:Net'"):
        draft_lightning(str(checkpoints / "classifier.ckpt"), given={"architecture.import": "no_such:Net"})
