from __future__ import annotations

import argparse
import io
import pickle
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from inference_core.errors import ModelError
from inference_core.models.checkpoint import load_into, read_checkpoint, read_state_dict


class RunsCode:
    """Pickles as a call, as a malicious file would."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return eval, ("1 + 1",)


def saved(value: Any, *, is_zip: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=is_zip)
    return buffer.getvalue()


def small_state() -> dict[str, Tensor]:
    return {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.tensor([1.0, -1.0])}


def assert_is_small_state(state: dict[str, Tensor]) -> None:
    assert list(state) == ["layer.weight", "layer.bias"]
    for key, tensor in small_state().items():
        assert torch.equal(state[key], tensor)
        assert state[key].device.type == "cpu"


def prefixed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"module.{key}": tensor for key, tensor in state.items()}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(small_state(), id="alone"),
        pytest.param({"state_dict": small_state(), "epoch": 3}, id="state_dict"),
        pytest.param({"model_state_dict": small_state(), "optimizer": {"lr": 0.1}}, id="model_state_dict"),
        pytest.param({"model": small_state()}, id="model"),
        pytest.param({"net": small_state(), "acc": 93.1}, id="net"),
        pytest.param({"model": {"state_dict": small_state()}}, id="twice-nested"),
        pytest.param(prefixed(small_state()), id="data-parallel"),
        pytest.param({"state_dict": prefixed(small_state())}, id="nested-and-data-parallel"),
        pytest.param({key: nn.Parameter(tensor) for key, tensor in small_state().items()}, id="parameters"),
    ],
)
@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before-1.6"])
def test_every_usual_checkpoint_is_read(content: Any, is_zip: bool) -> None:
    assert_is_small_state(read_state_dict(saved(content, is_zip=is_zip), name="w.pth"))


@pytest.mark.parametrize(
    ("content", "note"),
    [
        pytest.param(
            {**small_state(), "mask_values": [0, 1]},
            "w.pth: left out 1 other key (mask_values), no tensors",
            id="values-of-masks",  # as milesial's Pytorch-UNet saves them
        ),
        pytest.param(
            {"state_dict": {**small_state(), "step": 3, "best": 0.5}, "args": argparse.Namespace(lr=0.1)},
            "w.pth[state_dict]: left out 2 other keys (best, step), no tensors",
            id="inside-a-checkpoint",
        ),
    ],
)
def test_what_is_no_tensor_is_left_out_and_said(content: Any, note: str) -> None:
    checkpoint = read_checkpoint(saved(content), name="w.pth")
    assert_is_small_state(checkpoint.state)
    assert checkpoint.notes == (note,)


def test_a_checkpoint_of_tensors_alone_has_no_notes() -> None:
    assert read_checkpoint(saved({"state_dict": small_state(), "epoch": 3}), name="w.pth").notes == ()


def test_safetensors_are_read() -> None:
    state = read_state_dict(safetensors.torch.save(small_state()), name="w.safetensors")
    assert_is_small_state(dict(sorted(state.items(), reverse=True)))


def test_a_prefix_of_some_keys_stays() -> None:
    state = {"module.weight": torch.zeros(1), "bias": torch.zeros(1)}
    assert set(read_state_dict(saved(state), name="w.pth")) == set(state)


def test_a_checkpoint_saved_on_a_gpu_is_read_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # What torch writes for a tensor on the first GPU: the storage's location is a text in the pickle.
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    content = saved(small_state())
    monkeypatch.undo()
    assert b"cuda:0" in content
    assert_is_small_state(read_state_dict(content, name="w.pth"))


@pytest.mark.assets
def test_a_real_checkpoint_from_a_gpu(assets: Path) -> None:
    content = (assets / "models" / "detection" / "fastestdet_coco.pth").read_bytes()
    assert b"cuda:0" in content
    state = read_state_dict(content, name="fastestdet_coco.pth")
    assert len(state) == 420
    assert {tensor.device.type for tensor in state.values()} == {"cpu"}


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before-1.6"])
@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param(nn.Linear(1, 1), "torch.nn.modules.linear.Linear", id="whole-module"),
        pytest.param({"state_dict": small_state(), "hook": RunsCode()}, "eval", id="code-beside-the-weights"),
    ],
)
def test_code_is_named_and_not_run(content: Any, found: str, is_zip: bool) -> None:
    rule = f"weights must hold only tensors and plain containers, got w.pth with .*{found}.*would run code on loading"
    with pytest.raises(ModelError, match=f"{rule}; save model.state_dict\\(\\) alone"):
        read_state_dict(saved(content, is_zip=is_zip), name="w.pth")


def test_all_unsafe_names_are_listed() -> None:
    content = saved({"a": RunsCode(), "b": nn.ReLU(), "c": small_state()})
    with pytest.raises(ModelError, match=r"builtins.eval, .*torch.nn.modules.activation.ReLU, which"):
        read_state_dict(content, name="w.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "weights must be a file of torch.save, got w.pth .*; save it again", id="empty"),
        pytest.param(b"garbage" * 9, "weights must be a file of torch.save, got w.pth", id="garbage"),
        pytest.param(b"PK\x03\x04" + bytes(99), "must be a file of torch.save, got w.pth .*zip archive", id="half-zip"),
        pytest.param(saved(small_state())[:-40], "must be a file of torch.save, got w.pth", id="truncated"),
        pytest.param(pickle.dumps({"a": 1}), "must be a file of torch.save, got w.pth; save it", id="plain-pickle"),
        pytest.param(saved([torch.zeros(1)]), "must hold a state dict, got list in w.pth; save model", id="list"),
        pytest.param(saved(torch.zeros(1)), "must hold a state dict, got Tensor in w.pth", id="tensor"),
        pytest.param(saved({}), "must hold a state dict, got w.pth with 0 other keys", id="empty-mapping"),
        pytest.param(
            saved({0: torch.zeros(1)}), "must hold a state dict, got .* 1 other key .0.", id="numbers-as-keys"
        ),
        pytest.param(
            saved({"weights": small_state(), "epoch": 1}),
            r"got w.pth with 2 other keys \(epoch, weights\); save it alone or under one of state_dict",
            id="unusual-key",
        ),
        pytest.param(
            saved({"weights": small_state(), "epoch": torch.tensor(1)}),
            r"got w.pth with 2 other keys \(epoch, weights\); save it alone or under one of state_dict",
            id="unusual-key-beside-a-tensor",
        ),
        pytest.param(
            saved({"state_dict": {"a": 1}}), r"got w.pth\[state_dict\] with 1 other key \(a\)", id="no-tensors-inside"
        ),
    ],
)
def test_other_files_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_state_dict(content, name="w.pth")


@pytest.mark.parametrize("content", [b"", b"garbage" * 9, saved(small_state())], ids=["empty", "garbage", "pth"])
def test_what_is_no_safetensors_file(content: bytes) -> None:
    with pytest.raises(
        ModelError, match=r"weights must be a safetensors file, got w.safetensors \(.*\); save it again"
    ):
        read_state_dict(content, name="w.safetensors")


def test_a_torchscript_archive_names_its_format() -> None:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as a whole
        torch.jit.save(torch.jit.script(nn.Linear(1, 1)), buffer)
    with pytest.raises(
        ModelError, match=r"must be a state dict, got w.pt, a TorchScript archive; use format torchscri"
    ):
        read_state_dict(buffer.getvalue(), name="w.pt")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        pytest.param(saved(small_state()), "w.pth", id="zip"),
        pytest.param(saved(small_state(), is_zip=False), "w.pth", id="before-1.6"),
        pytest.param(pickle.dumps({"a": [1, "b"]}), "w.pth", id="plain-pickle"),
        pytest.param(safetensors.torch.save(small_state()), "w.safetensors", id="safetensors"),
    ],
)
def test_damage_is_a_model_error_or_goes_unseen(content: bytes, name: str) -> None:
    chance = random.Random(0)
    num_refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        end = chance.randrange(len(damaged)) if chance.random() < 0.3 else len(damaged)
        try:
            read_state_dict(bytes(damaged[:end]), name=name)
        except ModelError:
            num_refused += 1
    assert num_refused > 90  # at least what was cut


def test_weights_are_put_into_the_module() -> None:
    module = nn.Sequential()
    module.add_module("layer", nn.Linear(3, 2))
    load_into(module, small_state(), name="w.pth")
    assert torch.equal(module(torch.tensor([[1.0, 0.0, 0.0]])), torch.tensor([[1.0, 2.0]]))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        pytest.param(
            {},
            r"weights must fit the architecture, got w.pth with 2 missing keys \(bias, weight\) and 0 unexpected keys; "
            "check architecture.name",
            id="empty",
        ),
        pytest.param(
            {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "scale": torch.zeros(1)},
            r"0 missing keys and 1 unexpected key \(scale\)",
            id="unexpected",
        ),
        pytest.param(
            {f"layer{index}": torch.zeros(1) for index in range(7)},
            r"2 missing keys \(bias, weight\) and 7 unexpected keys \(layer0, .*layer5, ...\)",
            id="only-a-few-are-named",
        ),
        pytest.param(
            {"weight": torch.zeros(3, 2), "bias": torch.zeros(2)},
            r"weights must have the architecture's shapes, got w.pth with 1 differing key "
            r"\(weight \[3, 2\] for \[2, 3\]\); check architecture.options",
            id="shape",
        ),
    ],
)
def test_weights_of_another_module(state: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_into(nn.Linear(3, 2), state, name="w.pth")


def test_counters_of_batch_norms_may_be_absent() -> None:
    # As in checkpoints before torch 0.4.1; evaluation does not read them.
    trained = nn.BatchNorm2d(2)
    trained.running_mean = torch.tensor([1.0, 2.0])
    state = {key: tensor for key, tensor in trained.state_dict().items() if key != "num_batches_tracked"}
    module = nn.BatchNorm2d(2)
    load_into(module, state, name="w.pth")
    assert torch.equal(module.get_buffer("running_mean"), torch.tensor([1.0, 2.0]))
    del state["running_var"]
    with pytest.raises(ModelError, match=r"1 missing key \(running_var\)"):
        load_into(module, state, name="w.pth")


def test_half_precision_weights_fill_a_float_module() -> None:
    module = nn.Linear(3, 2)
    load_into(module, {"weight": torch.ones(2, 3).half(), "bias": torch.ones(2).half()}, name="w.pth")
    assert module.weight.dtype == torch.float32
    assert torch.equal(module.weight.detach(), torch.ones(2, 3))
