from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import typer
import yaml
from PIL import Image

from inference_core.errors import ConfigError, JobError
from inference_core.evaluation.fitting.split import split_images
from inference_core.evaluation.write_back import Fitted, write_fitted
from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from inference_core.results import Classification, Segmentation
from jobs.cli import register
from jobs.config import JobConfig
from jobs.evaluate_command import evaluate_run
from jobs.evaluation import scores_again
from jobs.evaluation.evaluate import evaluate
from jobs.evaluation.request import EvaluateRequest, FitRequest, read_method
from jobs.evaluation.text import result_lines
from jobs.results import read_results
from jobs.settings import read_settings
from tests.drawn_images import draw_folder, png_bytes
from tests.jobs.local_run import finish_job
from tests.tiny_models import CLASSES, tiny_classifier, tiny_segmenter

NUM_IMAGES = 80
RUN = Path("out")


def finished(folder: Path, package: Path, images: Path, **options: Any) -> str:
    """The output of a finished job."""
    flags = {"model": str(package), "input": str(images), "output": str(folder / RUN)}
    config: JobConfig = read_settings(None, flags=flags, assignments=[f"{k}={v}" for k, v in options.items()])
    finish_job(config, load_package(str(package)))
    return config.output


def image_name(index: int) -> str:
    return f"deep/er/{index:04d}.png" if index % 5 == 4 else f"{index:04d}.png"


def true_class(index: int) -> int:
    """What an image shows, but for two of five, which are labelled otherwise: a model must not be sure."""
    return (index + 1) % 3 if index % 5 < 2 else index % 3


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run over 80 images and three bad files."""
    folder = tmp_path_factory.mktemp("classified")
    return finished(
        folder, tiny_classifier(folder / "package"), draw_folder(folder / "images", NUM_IMAGES, with_bad=True)
    )


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    rows = "".join(f"{image_name(index)},{CLASSES[true_class(index)]}\n" for index in range(NUM_IMAGES))
    path.write_text(f"file,class\n{rows}")
    return str(path)


@pytest.fixture(scope="module")
def vessels(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A run that tells two classes apart in six images, and black and white masks of the truth."""
    folder = tmp_path_factory.mktemp("vessels")
    package = tiny_segmenter(folder / "package")
    spec = yaml.safe_load((package / "model.yaml").read_text())
    # Of the three colours' planes two are read: red is the background.
    spec |= {"classes": ["background", "vessel"], "output": {"activation": "softmax"}}
    model = onnx.load(package / "tiny.onnx")
    kernel = onnx.numpy_helper.to_array(model.graph.initializer[0])[:2]
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(kernel), "matrix"))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2
    onnx.save(model, package / "tiny.onnx")
    (package / "model.yaml").write_text(yaml.safe_dump(spec))
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    for index in range(6):
        truth = random.random((16, 24)) < 0.3
        pixels = np.stack([np.full(truth.shape, 110), truth * 60 + random.integers(60, 130, truth.shape)], axis=-1)
        pixels = np.concatenate([pixels, np.zeros((*truth.shape, 1))], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{index}.png")
        Image.fromarray((truth * 255).astype(np.uint8)).save(folder / "masks" / f"{index}.png")
    return finished(folder, package, folder / "images"), str(folder / "masks")


def asked(output: str, labels: str, **options: Any) -> EvaluateRequest:
    return EvaluateRequest(output=output, labels=labels, **options)


def fitting(output: str, labels: str, **options: Any) -> EvaluateRequest:
    chosen = FitRequest(**options)
    return asked(output, labels, fit=chosen, division=chosen)


def test_a_classification_is_held_to_its_labels(classified: str, labels: str) -> None:
    result = evaluate(asked(classified, labels))
    assert result.source == "rows"
    assert result.findings["accuracy"] == pytest.approx(48 / 80)
    figure = result.findings.figures[0]
    assert figure.interval is not None
    assert figure.interval.low < 0.6 < figure.interval.high
    assert result.findings.confusion is not None
    assert result.findings.confusion.counts.sum() == NUM_IMAGES
    assert "Brier and NLL need the scores of all 3 classes, and rows keep the best 2" in result.findings.notes[0]
    assert result.warnings[0].startswith("3 of 83 images have no label and do not count, such as empty.jpg")


def test_images_that_are_inferred_again_have_all_scores(classified: str, labels: str) -> None:
    result = evaluate(asked(classified, labels, infers=True))
    assert result.source == "inferred again"
    assert result.findings.notes == ()
    names = [figure.name for figure in result.findings.figures]
    assert {"Brier", "NLL"} <= set(names)
    assert result.findings["accuracy"] == pytest.approx(48 / 80)
    # The rows' figures and those of the repeated answers are the same where both know them.
    assert result.findings["ECE"] == pytest.approx(evaluate(asked(classified, labels)).findings["ECE"], abs=1e-6)


def test_verdicts_are_held_to_labels(classified: str, labels: str, tmp_path: Path) -> None:
    package = tiny_classifier(tmp_path / "package")
    spec = yaml.safe_load((package / "model.yaml").read_text())
    middle = float(np.nanmedian(np.array(read_results(classified)["score"].to_pylist(), np.float64)))
    rules = [{"when": {"score": {"below": middle}}, "verdict": "review"}]
    (package / "model.yaml").write_text(yaml.safe_dump({**spec, "quality": {"rules": rules}}))
    output = finished(tmp_path, package, draw_folder(tmp_path / "images", NUM_IMAGES, with_bad=True))
    result = evaluate(asked(output, labels))
    assert result.verdicts is not None
    accepted, reviewed, rejected, whole = result.verdicts.rows
    rows = [row for row in read_results(output).to_pylist() if row["status"] == "ok"]
    wrong: dict[str, list[bool]] = {"accept": [], "review": []}
    for row in rows:
        index = int(Path(row["image_id"]).stem)
        wrong["review" if row["score"] < middle else "accept"].append(row["class_id"] != true_class(index))
    assert [row.num_images for row in (accepted, reviewed)] == [len(wrong["accept"]), len(wrong["review"])]
    assert accepted.error == pytest.approx(float(np.mean(wrong["accept"])))
    assert reviewed.error == pytest.approx(float(np.mean(wrong["review"])))
    assert (rejected.num_images, whole.num_images) == (0, NUM_IMAGES)
    assert whole.error == pytest.approx(32 / 80)
    assert result.record()["verdicts"]["error"] == "wrong class"
    lines = "\n".join(result_lines(result))
    assert "verdict  images    share   error   95 % interval" in lines
    assert "error: wrong class; of the images with the lowest priority: " in lines


def test_runs_without_verdicts_tell_of_none(classified: str, labels: str) -> None:
    result = evaluate(asked(classified, labels))
    assert (result.verdicts, result.record()["verdicts"]) == (None, None)


@pytest.mark.parametrize("infers", [False, True])
def test_each_image_of_masks_has_an_error(vessels: tuple[str, str], infers: bool) -> None:
    output, masks = vessels
    findings = evaluate(asked(output, masks, infers=infers)).findings
    assert findings.error_name == "1 - Dice of the image"
    assert findings.image_errors is not None
    for index, error in enumerate(findings.image_errors):
        found = np.asarray(Image.open(Path(output.removeprefix("file://")) / "masks" / f"{index}.png.png")) > 0
        truth = np.asarray(Image.open(Path(masks) / f"{index}.png")) > 0
        assert 1 - error == pytest.approx(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def test_a_fitted_temperature_is_what_the_written_package_does(classified: str, labels: str, tmp_path: Path) -> None:
    result = evaluate(fitting(classified, labels, sets="lac", coverage_frac=0.8))
    assert result.fit is not None
    assert result.fit.calibration is not None
    assert result.fit.sets is not None
    found = result.fit.calibration
    assert found.num_fitted == found.num_measured == 40
    assert found.after.nll < found.before.nll
    assert found.after.ece < found.before.ece
    assert result.fit.warnings == ("temperature fitted on 40 images may be chance; from 200 on it hardly is",)
    source = load_package(str(Path(classified.removeprefix("file://")).parent / "package"))
    written = write_fitted(source, str(tmp_path / "new"), result.fit.fitted, record=result.record())
    assert written.spec.calibration.temperature == found.calibration.temperature
    assert written.spec.conformal is not None
    assert written.spec.conformal.quantile == result.fit.sets.quantile
    assert written.digest != source.digest
    assert json.loads((tmp_path / "new" / "evaluation.json").read_text())["fit"]["num_fitted"] == 40
    before, after = (Predictor.load(one, device="cpu").predict(png_bytes(5)).result for one in (source, written))
    assert isinstance(before, Classification)
    assert isinstance(after, Classification)
    gap = np.diff(np.log(before.scores)) / found.calibration.temperature
    np.testing.assert_allclose(np.diff(np.log(after.scores)), gap, rtol=1e-4)
    assert after.prediction_set is not None


def test_what_is_fitted_never_measures_itself(classified: str, labels: str) -> None:
    one, other = (evaluate(fitting(classified, labels, seed=seed)) for seed in (0, 1))
    assert one.fit is not None
    assert other.fit is not None
    assert one.fit.calibration is not None
    assert other.fit.calibration is not None
    assert one.fit.calibration.after.nll != other.fit.calibration.after.nll
    again = evaluate(fitting(classified, labels, seed=0))
    assert again.fit is not None
    assert again.record() == one.record()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"fit_frac": 0.05}, "temperature must be fitted on at least 20 labelled images, got 4", id="few"),
        pytest.param(
            {"method": "platt"}, "--method: must be temperature or temperature-by-class for classifi", id="platt"
        ),
        pytest.param(
            {"sets": "aps", "coverage_frac": 0.99}, "at least 99 labelled images to fit on for 0.99", id="sets"
        ),
        pytest.param({"fit_frac": 1.5}, "--fit-frac: must lie between 0 and 1, got 1.5", id="share"),
    ],
)
def test_a_fit_that_cannot_be_is_refused(classified: str, labels: str, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(fitting(classified, labels, **options))


@pytest.mark.parametrize("options", [{"fit_frac": 0.05}, {"method": "platt"}], ids=["few", "method"])
def test_nothing_is_inferred_for_a_fit_that_cannot_be(
    classified: str, labels: str, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inferred: list[str] = []
    monkeypatch.setattr(scores_again, "infer_scores", lambda *_, **__: inferred.append("all"))
    with pytest.raises(ConfigError):
        evaluate(fitting(classified, labels, **options))
    assert not inferred


def test_five_images_are_too_few_to_fit_on_and_are_measured_with_wide_intervals(
    classified: str, tmp_path: Path
) -> None:
    few = tmp_path / "five.csv"
    few.write_text("file,class\n" + "".join(f"{image_name(i)},{CLASSES[true_class(i)]}\n" for i in range(5)))
    message = r"temperature must be fitted on at least 20 labelled images, got 3 .* label 17 more on each side"
    with pytest.raises(ConfigError, match=message):
        evaluate(fitting(classified, str(few)))
    with pytest.raises(ConfigError, match=r"at least 9 labelled images to fit on for 0\.9, got 3; label more"):
        evaluate(fitting(classified, str(few), method=None, sets="lac"))
    result = evaluate(asked(classified, str(few)))
    assert result.warnings[0].startswith("78 of 83 images have no label and do not count")
    interval = result.findings.figures[0].interval
    assert interval is not None
    assert interval.high - interval.low > 0.5


def test_a_wanted_precision_gives_the_threshold_and_the_load(classified: str, labels: str) -> None:
    result = evaluate(asked(classified, labels, precision=0.5, recall=0.9))
    precision, recall = result.wanted
    assert precision.threshold is not None
    assert precision.measured is not None
    assert precision.review_frac == pytest.approx(1 - precision.measured.answered_frac)
    assert recall.review_frac is not None
    assert not recall.is_above
    assert evaluate(asked(classified, labels, precision=1.0)).wanted[0].kind == "precision"


def test_another_package_cannot_answer_for_the_run(classified: str, labels: str, tmp_path: Path) -> None:
    other = tiny_classifier(tmp_path, seed=3)
    with pytest.raises(ConfigError, match=r"--model: must be the run's package .* name the one that the run used"):
        evaluate(asked(classified, labels, infers=True, model=str(other)))


def test_labels_of_other_images_or_classes_are_refused(classified: str, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("file,class\nelse.png,red\n")
    with pytest.raises(ConfigError, match=r"must name images of the run, got .* with else\.png for images such as"):
        evaluate(asked(classified, str(labels)))
    labels.write_text("file,class\n0000.png,reddish\n")
    with pytest.raises(
        ConfigError, match=r"must name classes of the package, got 1 others .*'reddish' \(near: 'red'\)"
    ):
        evaluate(asked(classified, str(labels)))
    labels.write_text("file,class\ntruncated.png,red\n")
    with pytest.raises(JobError, match=r"labelled images must have an answer, got none for 1; see report/errors\.csv"):
        evaluate(asked(classified, str(labels)))
    labels.write_text("file,class\ntruncated.png,red\n0000.png,red\n")
    assert "1 labelled images have no answer" in evaluate(asked(classified, str(labels))).warnings[-1]


def test_of_a_run_that_goes_on_it_is_said(classified: str, labels: str, tmp_path: Path) -> None:
    part = tmp_path / "part"
    shutil.copytree(classified.removeprefix("file://"), part)
    records = sorted((part / "_commits").glob("*.json"))
    assert len(records) > 1
    num_rows = json.loads(records[-1].read_text())["num_rows"]
    records[-1].unlink()
    told = evaluate(asked(str(part), labels)).warnings[0]
    assert told.startswith(f"the run is not finished: {num_rows} of its images have no row yet and do not count; ")
    (part / "listing.json").unlink()
    assert evaluate(asked(str(part), labels)).warnings[0].startswith("the run is not finished: some of its images")


def test_masks_are_held_to_masks(vessels: tuple[str, str]) -> None:
    output, masks = vessels
    result = evaluate(asked(output, masks))
    assert result.run.notes == ("masks hold 0 and 255 alone: 255 is read as 'vessel'",)
    # Counted from the files themselves.
    shared = total = 0
    for index in range(6):
        found = np.asarray(Image.open(Path(output.removeprefix("file://")) / "masks" / f"{index}.png.png")) > 0
        truth = np.asarray(Image.open(Path(masks) / f"{index}.png")) > 0
        shared, total = shared + 2 * (found & truth).sum(), total + found.sum() + truth.sum()
    assert result.findings["Dice"] == pytest.approx(shared / total)
    assert evaluate(asked(output, masks, infers=True)).findings["Dice"] == pytest.approx(shared / total)


def test_a_threshold_of_masks_is_fitted_and_written(vessels: tuple[str, str], tmp_path: Path) -> None:
    output, masks = vessels
    result = evaluate(fitting(output, masks, method="temperature", goal="dice"))
    assert result.fit is not None
    (threshold,) = result.fit.thresholds
    assert threshold.measured.f1 >= threshold.present.f1 - 0.02
    source = load_package(str(Path(output.removeprefix("file://")).parent / "package"))
    written = write_fitted(source, str(tmp_path / "new"), result.fit.fitted, record={})
    assert written.spec.output.threshold == threshold.threshold
    images = sorted(Path(output.removeprefix("file://")).parent.glob("images/*.png"))
    # The Dice that was promised is had by the written package on the images that it was not fitted on.
    shared = total = 0.0
    names = result.run.image_ids
    is_fitted = dict(zip(names, split_images(names, fit_frac=0.5, seed=0), strict=True))
    for prediction in Predictor.load(written, device="cpu").predict_batch(images, image_ids=[p.name for p in images]):
        assert isinstance(prediction.result, Segmentation)
        if is_fitted[prediction.source.image_id]:
            continue
        truth = np.asarray(Image.open(Path(masks) / prediction.source.image_id)) > 0
        found = prediction.result.mask > 0
        shared, total = shared + 2 * (found & truth).sum(), total + found.sum() + truth.sum()
    assert shared / total == pytest.approx(threshold.measured.f1, abs=0.01)


def test_more_classes_have_no_threshold(tmp_path: Path) -> None:
    package, images = tiny_segmenter(tmp_path / "package"), draw_folder(tmp_path / "images", 4)
    output = finished(tmp_path, package, images, **{"results.masks": "none"})
    masks = tmp_path / "masks"
    masks.mkdir()
    for path in images.rglob("*.png"):
        Image.fromarray(np.zeros((20, 24), np.uint8)).save(masks / path.name)
    with pytest.raises(ConfigError, match="--fit: must go with two classes in segmentation, got 3"):
        evaluate(fitting(output, str(masks)))
    with pytest.raises(ConfigError, match=r"output: must hold masks to be evaluated, got none .* give --infer"):
        evaluate(asked(output, str(masks)))
    assert evaluate(asked(output, str(masks), infers=True)).findings["pixel accuracy"] < 1
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(masks / "0000.png")
    with pytest.raises(ConfigError, match="must have masks of the images' own size, got"):
        evaluate(asked(output, str(masks), infers=True))


def test_the_command_prints_and_stores(
    classified: str, labels: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_run(classified, labels=labels, fit=True, write=str(tmp_path / "new"), precision=0.6)
    out, err = capsys.readouterr()
    assert "accuracy           0.6000" in out
    assert "before  " in out
    assert "to review: " in out
    assert f"wrote file://{tmp_path}/new\ndigest " in out
    assert "warning: 3 of 83 images have no label" in err
    report = Path(classified.removeprefix("file://")) / "report"
    stored = json.loads((report / "evaluation.json").read_text())
    assert stored["figures"]["accuracy"]["value"] == 0.6
    assert stored["fit"]["calibration"]["after"]["reliability"]
    with (report / "evaluation_classes.csv").open() as file:
        assert [row["label"] for row in csv.DictReader(file)] == CLASSES
    with (report / "evaluation_confusion.csv").open() as file:
        assert sum(int(row["count"]) for row in csv.DictReader(file)) == NUM_IMAGES
    evaluate_run(classified, labels=labels, as_json=True)
    assert json.loads(capsys.readouterr().out)["num_evaluated"] == NUM_IMAGES
    with pytest.raises(ConfigError, match="--write: must be an empty or new folder"):
        evaluate_run(classified, labels=labels, fit=True, write=str(tmp_path / "new"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--labels: must be given; without labels there is --otsu 2"),
        ({"labels": "x.csv", "write": "y"}, "--write: must go with --fit"),
        ({"labels": "x.csv", "conformal": "lac"}, "--conformal: must go with --fit"),
        ({"labels": "x.csv", "otsu": 2}, "--otsu: must be left away with --labels"),
        ({"labels": "x.csv", "precision": 1.2}, "--precision: must lie above 0 and at most at 1, got 1.2"),
        ({"labels": "x.csv", "fit": True, "method": "magic"}, "--method: must be temperature, .* or none, got 'magic'"),
        ({"labels": "x.csv", "goal": "best"}, "--goal: must be f1, dice, iou, precision or recall, got 'best'"),
        ({"labels": "x.csv", "fit": True, "conformal": "raps"}, "--conformal: must be lac or aps, got 'raps'"),
    ],
)
def test_wrong_usage_is_refused(classified: str, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate_run(classified, **options)


def test_scores_divide_without_labels(
    classified: str, vessels: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_run(classified, otsu=2, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["of"], found["num_images"], len(found["thresholds"])) == ("images", NUM_IMAGES, 1)
    evaluate_run(vessels[0], otsu=3)
    assert capsys.readouterr().out.startswith("scores of 2,304 pixels (6 images) divide at ")


def test_lines_say_what_is_not_known(classified: str, labels: str) -> None:
    result = evaluate(asked(classified, labels))
    nothing = replace(result.findings.figures[0], value=float("nan"), interval=None)
    shown = replace(result, findings=replace(result.findings, figures=(nothing,)))
    assert any(line.split() == ["accuracy", "–"] for line in result_lines(shown))  # noqa: RUF001


def test_nothing_fitted_changes_nothing(classified: str, tmp_path: Path) -> None:
    source = load_package(str(Path(classified.removeprefix("file://")).parent / "package"))
    assert write_fitted(source, str(tmp_path / "new"), Fitted(), record={}).digest == source.digest


def test_the_commands_are_registered() -> None:
    app = typer.Typer()
    register(app)
    assert {"evaluate", "diff"} <= {command.name for command in app.registered_commands}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A multi-label run whose scores are too sure, and a table of labels."""
    folder = tmp_path_factory.mktemp("labelled")
    package = tiny_classifier(folder / "package")
    spec = yaml.safe_load((package / "model.yaml").read_text())
    spec |= {"task": "multilabel", "output": {"activation": "sigmoid", "top_k": 3}}
    (package / "model.yaml").write_text(yaml.safe_dump(spec))
    rows = [
        f"{image_name(index)},{','.join(str(int(true_class(index) == k)) for k in range(3))}\n"
        for index in range(NUM_IMAGES)
    ]
    table = folder / "labels.csv"
    table.write_text(f"file,{','.join(CLASSES)}\n{''.join(rows)}")
    return finished(folder, package, draw_folder(folder / "images", NUM_IMAGES)), str(table)


@pytest.mark.parametrize("method", ["temperature", "platt-by-class", "none"])
def test_label_sets_get_calibrated_scores_and_thresholds(
    labelled: tuple[str, str], tmp_path: Path, method: str
) -> None:
    output, labels = labelled
    chosen = read_method(method)
    if method == "platt-by-class":
        result = evaluate(fitting(output, labels, method=chosen, fit_frac=0.7))
    else:
        result = evaluate(fitting(output, labels, method=chosen))
    assert result.fit is not None
    assert [one.label for one in result.fit.thresholds] == ["", *CLASSES]
    assert (result.fit.calibration is None) == (method == "none")
    for one in result.fit.thresholds:
        assert one.curve.f1.max() >= one.curve.at(one.present_threshold).f1 or method != "none"
    source = load_package(str(Path(output.removeprefix("file://")).parent / "package"))
    written = write_fitted(source, str(tmp_path / "new"), result.fit.fitted, record=result.record())
    assert set(written.spec.output.thresholds) == set(CLASSES)
    assert result.findings.notes == ()
    assert any(line.startswith("all  ") for line in result_lines(result))
    # By its own thresholds the copy answers what was promised, on the images that it was not fitted on.
    images = Path(output.removeprefix("file://")).parent / "images"
    is_fitted = split_images(result.run.image_ids, fit_frac=0.7 if method == "platt-by-class" else 0.5, seed=0)
    names = [name for name, part in zip(result.run.image_ids, is_fitted, strict=True) if not part]
    predictor = Predictor.load(written, device="cpu")
    for k, label in enumerate(CLASSES):
        promised = next(one.measured for one in result.fit.thresholds if one.label == label)
        found = np.array([k in predictor.predict(images / name).result.class_ids for name in names])  # type: ignore[union-attr]
        true = np.array([k in result.run.truth[name] for name in names])
        assert (found & true).sum() / true.sum() == pytest.approx(promised.recall)


def test_a_wanted_precision_is_found_for_each_label(labelled: tuple[str, str]) -> None:
    result = evaluate(asked(*labelled, precision=0.5))
    assert result.findings["exact match"] <= 1
    assert [one.label for one in result.wanted] == ["", *CLASSES]
    assert result.source == "rows"


def test_merged_scores_of_an_ensemble_are_calibrated(labels: str, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 1)):
        tiny_classifier(tmp_path / name, seed=seed)
    package = tmp_path / "both"
    package.mkdir()
    members = [{"package": "../one"}, {"package": "../two", "weight": 2.0}]
    spec = {"name": "both", "task": "classification", "format": "ensemble", "ensemble": {"members": members}}
    (package / "model.yaml").write_text(yaml.safe_dump(spec))
    output = finished(tmp_path, package, draw_folder(tmp_path / "images", NUM_IMAGES))
    result = evaluate(fitting(output, labels))
    assert result.fit is not None
    assert result.fit.calibration is not None
    written = write_fitted(load_package(str(package)), str(tmp_path / "x" / "new"), result.fit.fitted, record={})
    before, after = (Predictor.load(one, device="cpu").predict(png_bytes(5)).result for one in (str(package), written))
    assert isinstance(before, Classification)
    assert isinstance(after, Classification)
    gap = np.diff(np.log(before.scores)) / result.fit.calibration.calibration.temperature
    np.testing.assert_allclose(np.diff(np.log(after.scores)), gap, rtol=1e-4)
