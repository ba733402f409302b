from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from inference_core.convert.repackage import with_weights
from inference_core.errors import ModelError
from inference_core.items import PreparedItem
from inference_core.models.package import ModelPackage, load_package
from inference_core.optimise.accuracy import score_classes
from inference_core.optimise.labels import build_scorer
from inference_core.optimise.measure import ORIGINAL, Bench, Row, with_times
from inference_core.pipeline import build_preparer
from tests.drawn_images import png_bytes
from tests.exportable_nets import net_package
from tests.tiny_models import tiny_classifier

onnx = pytest.importorskip("onnx", reason="the extra export is not installed")
pytest.importorskip("openvino", reason="the extra openvino is not installed")

COLORS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return load_package(str(tiny_classifier(tmp_path_factory.mktemp("tiny"))))


def prepare(package: ModelPackage, count: int) -> list[PreparedItem]:
    return [build_preparer(package).prepare(png_bytes(index), image_id=f"{index}.png") for index in range(count)]


def turned(package: ModelPackage) -> ModelPackage:
    """The same model with its first two outputs the other way round."""
    model = onnx.load_from_string(package.weights.data)
    for tensor in model.graph.initializer:
        matrix = onnx.numpy_helper.to_array(tensor)
        if tensor.name == "matrix":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(matrix[:, [1, 0, 2]]), "matrix"))
    return with_weights(package, weights_format="onnx", files={"model.onnx": model.SerializeToString()})


def test_every_engine_of_every_stage_is_compared_with_the_original(package: ModelPackage) -> None:
    items = prepare(package, 6)
    truth = {item.source.image_id: index % 3 for index, item in enumerate(items)}
    bench = Bench(items, scorer=partial(score_classes, truth=truth))
    bench.add(package, step=ORIGINAL)
    bench.add(turned(package), step="turn")
    rows = bench.rows()
    assert [(row.step, row.engine) for row in rows] == [
        (ORIGINAL, "onnxruntime"),
        (ORIGINAL, "openvino"),
        ("turn", "onnxruntime"),
        ("turn", "openvino"),
    ]
    assert [row.flips_frac for row in rows] == pytest.approx([0, 0, 2 / 3, 2 / 3])
    assert [row.scores["top-1"] for row in rows] == pytest.approx([1, 1, 1 / 3, 1 / 3])
    gaps = [row.max_difference for row in rows]
    assert gaps[0] == 0
    assert gaps[1] is not None
    assert gaps[1] < 1e-4
    assert all(gap is not None and gap > 0.5 for gap in gaps[2:])
    assert rows[0].speedup == 1.0
    assert all(row.images_per_s > 0 and row.speedup > 0 and row.is_finite and not row.refusal for row in rows)


def test_labels_of_a_file_are_the_scores(package: ModelPackage, tmp_path: Path) -> None:
    items = prepare(package, 3)
    (tmp_path / "labels.csv").write_text(
        "file,class\n" + "".join(f"{index}.png,{COLORS[index]}\n" for index in range(3))
    )
    scorer = build_scorer(package.spec, str(tmp_path / "labels.csv"), image_ids=[one.source.image_id for one in items])
    bench = Bench(items, scorer=scorer)
    bench.add(package, step=ORIGINAL)
    assert bench.rows()[0].scores == {"top-1": 1.0, "top-5": 1.0}


def test_a_stage_that_does_not_run_says_why(package: ModelPackage) -> None:
    broken = with_weights(package, weights_format="onnx", files={"model.onnx": b"no graph"})
    bench = Bench(prepare(package, 2), scorer=None)
    bench.add(package, step=ORIGINAL)
    bench.add(broken, step="broken")
    for row in bench.rows()[2:]:
        assert row.refusal.startswith("weights must be")
        assert (row.images_per_s, row.scores) == (0.0, {})


def test_outputs_that_are_not_finite_are_seen(tmp_path: Path) -> None:
    package = load_package(str(net_package(tmp_path / "a", "plain")))
    wild = load_package(str(net_package(tmp_path / "b", "plain", gain=1e30)))
    bench = Bench(prepare(package, 2), scorer=None)
    bench.add(package, step=ORIGINAL)
    bench.add(wild, step="wild")
    assert [row.is_finite for row in bench.rows()] == [True, False]


def test_an_original_that_does_not_run_is_refused(package: ModelPackage) -> None:
    broken = with_weights(package, weights_format="onnx", files={"model.onnx": b"no graph"})
    with pytest.raises(ModelError, match="weights must be"):
        Bench(prepare(package, 2), scorer=None).add(broken, step=ORIGINAL)


def test_rates_are_medians_round_by_round() -> None:
    row = with_times(Row(step="a", engine="torch", num_bytes=1), [1.0, 2.0, 10.0], [4.0, 4.0, 4.0], num_images=8)
    assert (row.images_per_s, row.speedup) == (4.0, 2.0)
