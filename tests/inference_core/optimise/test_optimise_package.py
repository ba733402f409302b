from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core.errors import ConfigError, ModelError
from inference_core.items import PreparedItem
from inference_core.models.package import load_package
from inference_core.optimise.measure import Row
from inference_core.optimise.optimise_package import Outcome, check_outcome, optimise, other_engines, write_outcome
from inference_core.optimise.prune import prune_package
from inference_core.optimise.recipe import Recipe, build_recipe
from inference_core.optimise.steps import Stage
from inference_core.pipeline import build_preparer
from inference_core.predictor import Predictor
from tests.asset_packages import mobilenet_package
from tests.drawn_images import png_bytes
from tests.exportable_nets import net_package
from tests.specs import package_of
from tests.tiny_models import tiny_classifier

pytest.importorskip("onnx", reason="the extra export is not installed")
pytest.importorskip("openvino", reason="the extra openvino is not installed")


def prepare(folder: Path, count: int = 4) -> list[PreparedItem]:
    preparer = build_preparer(load_package(str(folder)))
    return [preparer.prepare(png_bytes(index), image_id=str(index)) for index in range(count)]


def run(folder: Path, *, out: str = "", **options: Any) -> Outcome:
    items = prepare(folder)
    return optimise(load_package(str(folder)), build_recipe(**options), items=items, calibration=items, out=out)


def test_all_steps_of_a_torch_package_one_after_the_other(tmp_path: Path) -> None:
    source = net_package(tmp_path / "source", "plain")
    outcome = run(source, fuse=True, prune_frac=0.1, graph="basic", int8="static")
    assert [stage.step for stage in outcome.stages] == ["fuse", "prune", "to-onnx", "graph", "int8"]
    assert [row.step for row in outcome.table] == [
        "original", "fuse", "prune", "to-onnx", "to-onnx", "graph", "graph", "int8", "int8",
    ]  # fmt: skip
    assert [row.engine for row in outcome.final_rows] == ["onnxruntime", "openvino"]
    assert len({stage.package.digest for stage in outcome.stages}) == 5
    written = write_outcome(outcome, str(tmp_path / "new"), max_flips_frac=1.0)
    assert (written.spec.format, written.digest) == ("onnx", outcome.package.digest)
    assert written.digest != outcome.source.digest
    assert Predictor.load(written).predict(png_bytes(0)).is_ok


def test_the_record_is_no_part_of_the_digest(tmp_path: Path) -> None:
    source = tiny_classifier(tmp_path / "source", depth=1)
    outcome = run(source, half="weights")
    written = write_outcome(outcome, str(tmp_path / "new"), max_flips_frac=0.0)
    record = json.loads((tmp_path / "new" / "optimise.json").read_text())
    assert record["source_digest"] == load_package(str(source)).digest
    assert record["digest"] == written.digest
    assert record["options"]["half"] == "weights"
    assert [step["step"] for step in record["steps"]] == ["half"]
    assert [(row["step"], row["engine"]) for row in record["table"]] == [
        ("original", "onnxruntime"),
        ("original", "openvino"),
        ("half", "onnxruntime"),
        ("half", "openvino"),
    ]
    (tmp_path / "new" / "optimise.json").unlink()
    assert load_package(str(tmp_path / "new")).digest == written.digest
    assert str(tmp_path) not in json.dumps(record)


@pytest.mark.assets
def test_pruning_that_changes_answers_is_refused_with_its_figures_and_writes_nothing(
    assets: Path, tmp_path: Path
) -> None:
    source, out = mobilenet_package(tmp_path / "source", assets), tmp_path / "new"
    package = load_package(str(source))
    photographs = sorted((assets / "classification" / "imagenet").iterdir())[:20]
    items = [build_preparer(package).prepare(path.read_bytes(), image_id=path.name) for path in photographs]
    outcome = optimise(package, build_recipe(prune_frac=0.5), items=items, out=str(out))
    assert outcome.stages[0].note.startswith("50.0% of 463,600 weights in 28 layers are zero")
    flips = outcome.final_rows[0].flips_frac
    assert flips > 0.5  # without training on, half of a small network is too much
    message = (
        rf"must change at most 2\.0% of the answers \(--max-flips\), got {flips:.1%} on 20 images; nothing was written"
    )
    with pytest.raises(ModelError, match=message + ": prune less, or train on with the pruned weights, or accept it"):
        write_outcome(outcome, str(out), max_flips_frac=0.02)
    assert not out.exists()
    write_outcome(outcome, str(out), max_flips_frac=1.0)
    assert (out / "model.yaml").is_file()


ROW = Row(step="int8", engine="onnxruntime", num_bytes=1)


def outcome_of(row: Row, **options: Any) -> Outcome:
    package = package_of(b"")
    original = replace(ROW, step="original")
    stage = Stage(step="int8", package=package, note="")
    return Outcome(source=package, stages=(stage,), table=(original, row), recipe=Recipe(**options), num_images=10)


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        pytest.param(
            replace(ROW, refusal="no such operator"), {}, "must run on onnxruntime, got: no such", id="refusal"
        ),
        pytest.param(replace(ROW, is_finite=False), {}, "must answer every image .* got inf or nan", id="not-finite"),
        pytest.param(
            replace(ROW, flips_frac=0.2), {}, "got 20.0% on 10 images; nothing was written: accept it", id="flips"
        ),
        pytest.param(
            replace(ROW, flips_frac=0.2),
            {"int8": "static"},
            "take other --calibration images or --ranges, keep layers in float .*, or accept it with",
            id="flips-of-int8",
        ),
    ],
)
def test_what_must_not_be_written(row: Row, options: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_outcome(outcome_of(row, **options), max_flips_frac=0.1)


def test_flips_up_to_the_limit_are_accepted() -> None:
    check_outcome(outcome_of(replace(ROW, flips_frac=0.1)), max_flips_frac=0.1)


OTHER = replace(ROW, engine="openvino")


@pytest.mark.parametrize(
    ("row", "lines"),
    [
        pytest.param(OTHER, [], id="equal"),
        pytest.param(replace(OTHER, refusal="no", flips_frac=1.0), [], id="does-not-run"),
        pytest.param(
            replace(OTHER, flips_frac=0.2),
            ["openvino: 20.0% of the answers differ; stay with engine onnxruntime"],
            id="flips",
        ),
        pytest.param(
            replace(OTHER, is_finite=False), ["openvino: inf or nan; stay with engine onnxruntime"], id="not-finite"
        ),
    ],
)
def test_another_engine_that_answers_otherwise_is_warned_of(row: Row, lines: list[str]) -> None:
    outcome = outcome_of(ROW)
    assert other_engines(replace(outcome, table=(*outcome.table, row)), max_flips_frac=0.1) == lines


def test_a_quantised_graph_is_not_quantised_again(tmp_path: Path) -> None:
    source = tiny_classifier(tmp_path / "source", depth=1)
    write_outcome(run(source, int8="static"), str(tmp_path / "new"), max_flips_frac=1.0)
    with pytest.raises(ConfigError, match="--int8: must go with a model in float, got one with DequantizeLinear"):
        run(tmp_path / "new", int8="dynamic")


def test_a_folder_with_files_is_refused_before_any_work(tmp_path: Path) -> None:
    source = tiny_classifier(tmp_path / "source")
    with pytest.raises(ConfigError, match="--out: must be an empty or new folder"):
        run(source, half="weights", out=str(source))


def test_static_int8_without_calibration_images_is_refused(tmp_path: Path) -> None:
    source = tiny_classifier(tmp_path)
    with pytest.raises(ConfigError, match="--calibration: must be given with --int8 static; name a folder of images"):
        optimise(load_package(str(source)), build_recipe(int8="static"), items=prepare(source))


def test_weights_in_files_beside_the_graph_are_taken_in(tmp_path: Path) -> None:
    import onnx

    source = tiny_classifier(tmp_path / "source", depth=2)
    whole = load_package(str(source))
    model = onnx.load_from_string(whole.weights.data)
    path = source / "tiny.onnx"
    path.unlink()
    onnx.save(model, path, save_as_external_data=True, location="tiny.bin", size_threshold=0)
    assert (source / "tiny.bin").is_file()
    written = write_outcome(run(source, half="weights"), str(tmp_path / "new"), max_flips_frac=0.0)
    assert sorted(entry.name for entry in (tmp_path / "new").iterdir()) == ["model.onnx", "model.yaml", "optimise.json"]
    expected = Predictor.load(whole).predict(png_bytes(1)).result
    found = Predictor.load(written).predict(png_bytes(1)).result
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)  # type: ignore[union-attr]


def test_a_model_without_layers_cannot_be_pruned() -> None:
    from tests.onnx_graphs import channel_means

    package = package_of(channel_means())
    with pytest.raises(ConfigError, match="--prune: must have convolutions or linear layers with float32 weights"):
        prune_package(package, frac=0.5)
