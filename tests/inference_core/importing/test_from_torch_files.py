"""TorchScript archives and exported programs."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inference_core.errors import ModelError
from inference_core.importing.draft import Draft
from inference_core.importing.from_torch_export import draft_program
from inference_core.importing.from_torchscript import draft_torchscript, read_metadata
from inference_core.models.weights import Weights

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


class Means(nn.Module):
    """Scores of the channels."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3)) * 10 - 1


def file_of(buffer: io.BytesIO, name: str) -> Weights:
    return Weights(name=name, files={name: buffer.getvalue()})


def scripted(module: nn.Module, **options: Any) -> Weights:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module), buffer, **options)  # type: ignore[no-untyped-call]
    return file_of(buffer, "net.pt")


def exported(module: nn.Module, *inputs: Tensor, **options: Any) -> Weights:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(module.eval(), inputs, **options), buffer)
    return file_of(buffer, "net.pt2")


def facts(draft: Draft) -> dict[str, Any]:
    return {fact.key: fact.value for fact in (*draft.assumed, *draft.found)}


@pytest.mark.parametrize(
    ("given", "count", "color"),
    [({}, 3, "rgb"), ({"input.size_hw": [8, 8]}, 3, "rgb"), ({"input.color": "gray"}, 1, "gray")],
    ids=["nothing", "size", "gray"],
)
def test_an_archive_is_run_to_see_what_it_gives(given: dict[str, Any], count: int, color: str) -> None:
    draft = draft_torchscript(scripted(Means()), given=given)
    assert (facts(draft)["task"], facts(draft)["input.color"]) == ("classification", color)
    reasons = {gap.key: gap.reason for gap in draft.missing}
    assert f"{count} of them" in reasons["classes"]
    assert "input.size_hw" in reasons  # the archive does not say it; the import takes the user's


def test_metadata_of_ultralytics_in_an_archive() -> None:
    config = json.dumps({"stride": 32, "names": {0: "a", 1: "b", 2: "c"}, "task": "classify", "imgsz": [16, 16]})
    weights = scripted(Means(), _extra_files={"config.txt": config})
    assert read_metadata(weights.data) is not None
    draft = draft_torchscript(weights, given={})
    assert draft.missing == ()
    assert (facts(draft)["classes"], facts(draft)["input.size_hw"]) == (["a", "b", "c"], [16, 16])


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}"], ids=["empty", "text", "list", "nothing-in-it"])
def test_other_extra_files_are_no_metadata(text: str) -> None:
    assert read_metadata(scripted(Means(), _extra_files={"config.txt": text}).data) is None
    assert read_metadata(b"no archive") is None


@pytest.mark.parametrize("is_free", [False, True], ids=["fixed-batch", "free-batch"])
def test_a_program_keeps_the_shape_of_its_input(is_free: bool) -> None:
    shapes = {"images": {0: torch.export.Dim("batch", min=1, max=64)}} if is_free else None
    draft = draft_program(exported(Means(), torch.zeros(2, 3, 8, 12), dynamic_shapes=shapes), given={})
    assert facts(draft)["input.size_hw"] == [8, 12]
    origins = {fact.key: fact.origin for fact in draft.found}
    assert ("fixes the batch at 2" in origins["input.size_hw"]) is not is_free
    assert [gap.key for gap in draft.missing] == ["input.fit", "input.scale", "input.mean", "input.std", "classes"]


class Two(nn.Module):
    """Of two inputs."""

    def forward(self, images: Tensor, masks: Tensor) -> Tensor:
        return (images * masks).mean(dim=(2, 3))


def test_several_inputs_are_refused() -> None:
    image = torch.zeros(1, 3, 8, 8)
    with pytest.raises(ModelError, match=r"one input, got 2 \(images, masks\)"):
        draft_program(exported(Two(), image, image), given={})
