from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from inference_core.enhance.override import override_package, written_elsewhere
from inference_core.enhance_spec import DropoutSpec, TtaSpec
from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage, load_package
from inference_core.predictor import Predictor
from inference_core.quality_spec import QualitySpec, StatisticsSpec
from tests.asset_packages import write_package
from tests.hooked_packages import hooked_classifier
from tests.tiny_models import tiny_classifier
from tests.view_nets import view_package

FLIP = TtaSpec(views=("hflip",))


def declared(folder: Path, **spec: Any) -> ModelPackage:
    facts = yaml.safe_load((tiny_classifier(folder) / "model.yaml").read_text())
    return load_package(str(write_package(folder, {**facts, **spec})))


def test_it_is_the_package_that_would_say_so(tmp_path: Path) -> None:
    plain, flipped = declared(tmp_path / "plain"), declared(tmp_path / "flip", tta=["hflip"])
    assert override_package(plain, tta=FLIP).digest == flipped.digest != plain.digest
    assert override_package(flipped, tta=TtaSpec(views=("identity",))).digest == plain.digest
    assert override_package(plain) is plain
    assert override_package(flipped, tta=TtaSpec(views=("vflip",))).spec.tta == TtaSpec(views=("vflip",))


def test_every_word_of_it_counts(tmp_path: Path) -> None:
    plain = declared(tmp_path)
    asked = [FLIP, TtaSpec(views=("vflip",)), TtaSpec(views=("hflip",), merge="max"), TtaSpec(views=("hflip", "vflip"))]
    digests = {override_package(plain, tta=tta).digest for tta in asked}
    assert len(digests | {plain.digest}) == 5


def test_dropout_is_overridden_likewise(tmp_path: Path) -> None:
    plain = view_package(tmp_path / "plain", "dropping")
    asked = view_package(tmp_path / "asked", "dropping", dropout={"samples": 3})
    assert override_package(plain, dropout=DropoutSpec(samples=3)).digest == asked.digest


def test_predictions_carry_the_digest_of_what_was_asked(tmp_path: Path) -> None:
    plain = declared(tmp_path)
    predictor = Predictor.load(plain, device="cpu", tta=FLIP)
    prediction = predictor.predict(tmp_path / "none.png")
    assert prediction.model_digest == override_package(plain, tta=FLIP).digest


def rules_of(**when: Any) -> QualitySpec:
    return QualitySpec.model_validate({"rules": [{"when": when, "verdict": "review"}]})


def test_predictions_are_judged_by_rules_of_the_caller(tmp_path: Path) -> None:
    asked = {"statistics": StatisticsSpec(groups=("margin",)), "quality": rules_of(height={"above": 7})}
    predictor = Predictor.load(declared(tmp_path), device="cpu", **asked)  # type: ignore[arg-type]
    prediction = predictor.predict(np.zeros((8, 8, 3), np.uint8))
    assert (prediction.verdict, prediction.reasons) == ("review", ("height above 7",))
    assert prediction.statistics.keys() == {"margin"}
    assert prediction.model_digest == override_package(load_package(str(tmp_path)), **asked).digest  # type: ignore[arg-type]


def test_what_is_overridden_has_to_fit_only_as_a_whole(tmp_path: Path) -> None:
    rules = [{"when": {"disagreement": {"above": 0.5}}, "verdict": "review"}]
    package, alone = declared(tmp_path, tta=["hflip"], quality={"rules": rules}), TtaSpec(views=("identity",))
    with pytest.raises(ConfigError, match="needs several views or members"):
        override_package(package, tta=alone)
    spec = override_package(package, tta=alone, quality=rules_of(score={"below": 0.5})).spec
    assert spec.tta is None
    assert spec.quality is not None
    assert spec.quality.named_fields.keys() == {"score"}


@pytest.mark.parametrize(
    ("spec", "tta", "message"),
    [
        pytest.param(
            {"input": {"fit": "stretch", "size_hw": [8, 16]}},
            TtaSpec(views=("rot90",)),
            r"tiny-classification with other tta has 1 problem.*must have no quarter turns \(rot90, rot270\)",
            id="not square",
        ),
        pytest.param({}, TtaSpec(views=("hflip",), merge="wbf"), "tta.merge must be mean, .*, got wbf", id="merge"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, spec: dict[str, Any], tta: TtaSpec, message: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        override_package(declared(tmp_path, **spec), tta=tta)


def test_an_onnx_graph_has_no_dropout_to_switch(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"dropout must go with a model whose layers can be switched .*, got format onnx"
    ):
        override_package(declared(tmp_path), dropout=DropoutSpec(samples=3))


def test_an_ensemble_is_refused(tmp_path: Path) -> None:
    tiny_classifier(tmp_path / "net")
    facts = {"name": "both", "task": "classification", "format": "ensemble"}
    members = {"members": [{"package": "../net"}, {"package": "../net"}]}
    package = load_package(str(write_package(tmp_path / "both", {**facts, "ensemble": members})))
    with pytest.raises(ConfigError, match="tta: must go with a single model, got an ensemble"):
        override_package(package, tta=FLIP)


def test_it_can_be_written_for_workers(tmp_path: Path) -> None:
    hooked_classifier(
        tmp_path,
        files={"own.py": "def same(pixels):\n    return pixels\n"},
        input__filters=[{"import": "./own.py:same"}],
    )
    asked = override_package(load_package(str(tmp_path), trusts_code=True), tta=FLIP)
    with written_elsewhere(asked) as written:
        assert written.uri != asked.uri
        assert (written.digest, written.code.is_trusted) == (asked.digest, True)
        assert load_package(written.uri).digest == asked.digest
