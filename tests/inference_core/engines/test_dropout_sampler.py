from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from inference_core.engines.build import build_engine
from inference_core.engines.dropout_sampler import DropoutSampler
from inference_core.enhance.build import build_package_engine
from inference_core.errors import ConfigError, ModelError
from inference_core.predictor import Predictor
from tests.view_nets import build_net, view_package

LAYERS = ("Dropout", "Dropout2d", "AlphaDropout", "FeatureAlphaDropout")
SEED = (0, 1)


def images(count: int, *, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def sampled(net: nn.Module, sampler: DropoutSampler, batch: torch.Tensor, seed: Any = SEED) -> torch.Tensor:
    with torch.inference_mode(), sampler.sampling(seed):
        return net(batch)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", LAYERS)
def test_only_dropout_layers_wake_up(kind: str) -> None:
    net = build_net("dropping", layer=kind)
    plain = net(images(4))
    statistics = {name: buffer.clone() for name, buffer in net.named_buffers()}
    sampler = DropoutSampler(net)
    first = sampled(net, sampler, images(4))
    assert not torch.allclose(first, plain)
    assert not any(module.training for module in net.modules())
    assert all(torch.equal(buffer, statistics[name]) for name, buffer in net.named_buffers())
    assert torch.equal(net(images(4)), plain), "and sleep again afterwards"


@pytest.mark.parametrize("kind", LAYERS)
def test_a_sample_is_the_same_for_every_image_whatever_shares_its_batch(kind: str) -> None:
    net = build_net("dropping", layer=kind)
    sampler = DropoutSampler(net)
    together = sampled(net, sampler, images(6))
    alone = torch.cat([sampled(net, sampler, one[None]) for one in images(6)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-6)
    twins = sampled(net, sampler, images(1).repeat(3, 1, 1, 1))
    torch.testing.assert_close(twins[0], twins[2])


def test_a_seed_chooses_the_units() -> None:
    one, two = build_net("dropping"), build_net("dropping")
    first = sampled(one, DropoutSampler(one), images(2))
    torch.testing.assert_close(sampled(two, DropoutSampler(two), images(2)), first, atol=0, rtol=0)
    assert not torch.equal(sampled(two, DropoutSampler(two), images(2), (0, 2)), first)
    assert not torch.equal(sampled(two, DropoutSampler(two), images(2), (5, 1)), first)


@pytest.mark.parametrize("kind", LAYERS)
def test_samples_are_spread_as_those_of_torch_are(kind: str) -> None:
    net = build_net("dropping", layer=kind, rate=0.3)
    sampler = DropoutSampler(net)
    found = torch.cat([sampled(net, sampler, images(1), (0, sample)) for sample in range(1500)])
    reference = build_net("dropping", layer=kind, rate=0.3)
    reference.drop.train()
    with torch.inference_mode(), torch.random.fork_rng():
        torch.manual_seed(0)
        expected = reference(images(1).repeat(1500, 1, 1, 1))
    # Six standard errors of a mean of 1,500, and as much of a deviation.
    tolerance = 6 * float(expected.std(0).max()) / 1500**0.5
    torch.testing.assert_close(found.mean(0), expected.mean(0), atol=tolerance, rtol=0)
    torch.testing.assert_close(found.std(0), expected.std(0), atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    "options", [pytest.param({"layer": ""}, id="none"), pytest.param({"rate": 0.0}, id="one that leaves nothing out")]
)
def test_a_model_without_dropout_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    package = view_package(tmp_path, "dropping", net=options, dropout={"samples": 4})
    with pytest.raises(
        ModelError, match=r"the model must have dropout layers .*, got none; train it with some, or remove"
    ):
        build_package_engine(package, device="cpu", precision="fp32", num_threads=1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_compiled_model_is_refused(tmp_path: Path) -> None:
    package = view_package(tmp_path, "dropping", dropout={"samples": 4})
    with pytest.raises(ConfigError, match="compile: must be off with dropout, whose layers are switched; turn it off"):
        build_package_engine(package, device="cpu", precision="fp32", num_threads=1, compiles=True)


def test_the_answer_is_the_mean_of_the_samples(tmp_path: Path) -> None:
    package = view_package(tmp_path, "dropping", dropout={"samples": 5, "seed": 3})
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    engine = build_engine(package, device="cpu", precision="fp32", num_threads=1)
    engine.enable_dropout()  # type: ignore[attr-defined]
    pixels = engine.load(image[None])  # type: ignore[attr-defined]
    runs = [engine.run_loaded(pixels, dropout_seed=(3, sample))["output"] for sample in range(5)]  # type: ignore[attr-defined]
    scores = torch.cat(runs).softmax(1).numpy()
    result = Predictor.load(package, device="cpu").predict(image).result
    assert result is not None
    found = dict(zip(result.class_ids.tolist(), result.scores.tolist(), strict=True))  # type: ignore[union-attr]
    np.testing.assert_allclose([found[k] for k in range(3)], scores.mean(axis=0), atol=1e-6)
    best = int(scores.mean(axis=0).argmax())
    assert result.spread.score_std == pytest.approx(float(scores[:, best].std()), abs=1e-6)  # type: ignore[union-attr]
    assert result.spread.gains == ()  # type: ignore[union-attr]


@pytest.mark.parametrize("rate", [0.5, 1.0])
@pytest.mark.parametrize("kind", LAYERS)
def test_outputs_stay_finite_whatever_the_rate(kind: str, rate: float) -> None:
    net = build_net("dropping", layer=kind, rate=rate)
    assert torch.isfinite(sampled(net, DropoutSampler(net), images(2))).all()
