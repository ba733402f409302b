"""Functions of the user's in whole packages: what they change, and what happens where they fail."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference_core.errors import ConfigError, ModelError
from inference_core.models.package import load_package
from inference_core.models.write_package import write_package
from inference_core.pipeline import build_preparer
from inference_core.predictor import Predictor
from inference_core.records import Uint8Array
from inference_core.results import Classification, Detection, Embedding, MultiLabel, Segmentation
from tests.drawn_images import draw_folder
from tests.hooked_packages import hook, hooked_classifier, hooked_segmenter
from tests.s3_loopback import S3Server

BLACK = np.zeros((20, 30, 3), np.uint8)
CODE = """
import numpy as np

def negate(pixels, *, top=255):
    return (top - pixels).astype(np.uint8)
"""


def picture(*, channel: int = 0) -> Uint8Array:
    """One colour, a little noise."""
    pixels = np.random.default_rng(0).integers(0, 40, (20, 30, 3), np.uint8)
    pixels[..., channel] += 200
    pixels.setflags(write=False)
    return pixels


def load(folder: Path, **options: Any) -> Predictor:
    return Predictor.load(folder, device="cpu", num_threads=1, **options)


def label_of(folder: Path, pixels: Uint8Array, **options: Any) -> str:
    result = load(folder, **options).predict(pixels).result
    assert isinstance(result, Classification)
    return result.labels[0]


def test_a_filter_changes_the_answer_by_its_options(tmp_path: Path) -> None:
    plain = hooked_classifier(tmp_path / "plain")
    by_one = hooked_classifier(tmp_path / "one", input__filters=[hook("shift_channels")])
    by_two = hooked_classifier(tmp_path / "two", input__filters=[hook("shift_channels", by=2)])
    both = hooked_classifier(tmp_path / "both", input__filters=[hook("shift_channels"), hook("shift_channels", by=2)])
    labels = [label_of(folder, picture()) for folder in (plain, by_one, by_two, both)]
    assert labels == ["red", "green", "blue", "red"]


def test_a_filter_takes_its_place_among_the_others(tmp_path: Path) -> None:
    gray_last = hooked_classifier(tmp_path / "a", input__filters=[hook("shift_channels"), "gray"])
    gray_first = hooked_classifier(tmp_path / "b", input__filters=["gray", hook("shift_channels")])
    scores = [load(folder).predict(picture()).result.scores for folder in (gray_last, gray_first)]  # type: ignore[union-attr]
    assert not np.allclose(scores[0], scores[1])


def test_a_filter_sees_one_channel_where_the_input_is_gray(tmp_path: Path) -> None:
    facts = {"input__color": "gray", "input__filters": [hook("./f.py:check")]}
    code = "def check(pixels):\n    assert pixels.shape[2] == 1 and not pixels.flags.writeable\n    return pixels\n"
    package = load_package(str(hooked_classifier(tmp_path, files={"f.py": code}, **facts)), trusts_code=True)
    item = build_preparer(package).prepare(picture(), image_id="gray")
    assert item.error == ""
    assert item.prepared is not None
    assert item.prepared.tiles.shape == (1, 16, 16, 1)


@pytest.mark.parametrize("name", ["mirror", "reuse_memory"])
def test_what_a_filter_gives_may_lie_anywhere_in_memory(tmp_path: Path, name: str) -> None:
    hooked = load(hooked_segmenter(tmp_path / name, input__filters=[hook(name)]))
    plain = load(hooked_segmenter(tmp_path / "plain"))
    images = [picture(channel=channel) for channel in (0, 1, 2)]
    change = (lambda image: image[:, ::-1]) if name == "mirror" else (lambda image: 255 - image)
    expected = plain.predict_batch([np.ascontiguousarray(change(image)) for image in images])
    for one, other in zip(hooked.predict_batch(images), expected, strict=True):
        assert isinstance(one.result, Segmentation)
        assert isinstance(other.result, Segmentation)
        assert np.array_equal(one.result.mask, other.result.mask)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_decoder_is_read_in_place_of_the_model(tmp_path: Path, channel: int) -> None:
    folder = hooked_classifier(tmp_path, output__decoder=hook("swap_classes"))
    assert label_of(folder, picture(channel=channel)) == ["red", "green", "blue"][2 - channel]


def test_options_of_a_decoder_change_the_answer(tmp_path: Path) -> None:
    scores = [
        load(hooked_classifier(tmp_path / str(gain), output__decoder=hook("swap_classes", gain=gain)))
        .predict(picture())
        .result.scores[0]  # type: ignore[union-attr]
        for gain in (0.5, 2.0)
    ]
    assert scores[0] < scores[1]


def detector(folder: Path, **changes: Any) -> Path:
    """The classifier's scores as boxes."""
    facts = {
        "task": "detection",
        "output": {"decoder": hook("boxes_of_scores"), "threshold": 0.1, "nms": {"method": "none"}},
    }
    return hooked_classifier(folder, **{**facts, **changes})


def test_a_decoder_gives_boxes(tmp_path: Path) -> None:
    result = load(detector(tmp_path / "boxes")).predict(picture()).result
    assert isinstance(result, Detection)
    assert result.labels[0] == "red"
    # An input pixel is 30/16 of the image's width and 20/16 of its height.
    by_class = dict(zip(result.class_ids.tolist(), result.boxes_xyxy.tolist(), strict=True))
    scale = np.array([30, 20, 30, 20]) / 16
    for class_id, box in by_class.items():
        assert np.allclose(box, np.array([class_id, class_id, class_id + 8, class_id + 8]) * scale)
    small = detector(tmp_path / "small", output__decoder=hook("boxes_of_scores", side=2.0))
    (first, *_) = load(small).predict(picture()).result.boxes_xyxy  # type: ignore[union-attr]
    assert np.allclose(first, np.array([0, 0, 2, 2]) * scale)
    kept = detector(
        tmp_path / "nms", output__decoder=hook("boxes_of_scores", side=16.0), output__nms={"class_agnostic": True}
    )
    assert len(load(kept).predict(picture()).result.scores) == 1  # type: ignore[union-attr]


def torch_classifier(folder: Path, **changes: Any) -> Path:
    """Means of the channels as scores, run by torch."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"gain": torch.tensor(4.0)}, folder / "means.pth")
    facts = {"format": "state_dict", "weights": "means.pth", "architecture": hook("build_means") | {"options": {}}}
    return hooked_classifier(folder, **{**facts, **changes})


@pytest.mark.parametrize("task", ["classification", "detection"])
def test_a_decoder_may_be_written_once_for_every_library(tmp_path: Path, task: str) -> None:
    changes: dict[str, Any] = {"output__decoder": hook("swap_classes")}
    if task == "detection":
        changes = {"task": "detection", "output": {"decoder": hook("boxes_of_scores"), "nms": {"method": "none"}}}
    result = load(torch_classifier(tmp_path, **changes)).predict(picture()).result
    assert isinstance(result, Classification | Detection)
    assert result.labels[0] == ("blue" if task == "classification" else "red")


def test_a_decoder_of_torch_gives_tensors(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"decoder tests.hook_functions:as_numpy must give an array of torch, as the out"
    ):
        load(torch_classifier(tmp_path, output__decoder=hook("as_numpy")))


def test_a_step_changes_a_mask_in_its_place_among_the_others(tmp_path: Path) -> None:
    def mask_of(name: str, steps: list[Any]) -> Uint8Array:
        result = load(hooked_segmenter(tmp_path / name, postprocess=steps)).predict(picture(channel=1)).result
        assert isinstance(result, Segmentation)
        assert result.class_pixels.tolist() == np.bincount(result.mask.ravel(), minlength=3).tolist()
        return result.mask

    assert np.all(mask_of("none", []) == 1)
    half = mask_of("half", [hook("clear_left_half")])
    assert np.all(half[:, :15] == 0)
    assert np.all(half[:, 15:] == 1)
    assert np.all(mask_of("option", [hook("clear_left_half", class_id=2)])[:, :15] == 2)
    assert np.all(mask_of("before", [hook("clear_left_half"), {"min_area_px": 400}]) == 0)
    after = mask_of("after", [{"min_area_px": 400}, hook("clear_left_half")])
    assert np.all(after == half)


def test_steps_change_records(tmp_path: Path) -> None:
    boxes = load(detector(tmp_path / "boxes", postprocess=[hook("drop_class", label="red")])).predict(picture()).result
    assert isinstance(boxes, Detection)
    assert set(boxes.labels) == {"green", "blue"}

    labels = hooked_classifier(
        tmp_path / "labels",
        task="multilabel",
        output={"activation": "sigmoid", "threshold": 0.05},
        postprocess=[hook("keep_sure_labels", least=0.5)],
    )
    sure = load(labels).predict(picture()).result
    assert isinstance(sure, MultiLabel)
    assert sure.labels == ("red",)
    assert len(sure.top_labels) == 3

    vectors = hooked_classifier(
        tmp_path / "vectors", task="embedding", classes=None, output=None, postprocess=[hook("halve_vector")]
    )
    vector = load(vectors).predict(picture()).result
    assert isinstance(vector, Embedding)
    assert vector.vector.shape == (1,)


@pytest.mark.parametrize(
    ("kind", "path", "message"),
    [
        pytest.param("filter", "no_such_package.filters:f", "must be importable, got 'no_such_", id="no-module"),
        pytest.param("filter", "tests.hook_functions:absent", "must be importable, .*no attribute 'absent'", id="none"),
        pytest.param("filter", "tests.hook_functions:NOT_CALLABLE", "must name a callable", id="no-callable"),
        pytest.param("decoder", "tests.hook_functions:take_nothing", r"must take one argument and the opt", id="takes"),
        pytest.param(
            "step", "tests.hook_functions:shift_channels", r"and the options \['to'\], got.*'to'", id="option"
        ),
    ],
)
def test_a_path_that_leads_nowhere_stops_before_any_image(tmp_path: Path, kind: str, path: str, message: str) -> None:
    place = {"filter": "input__filters", "decoder": "output__decoder", "step": "postprocess"}[kind]
    named = hook(path, **({"to": 1} if kind == "step" else {}))
    folder = hooked_classifier(tmp_path, **{place: named if kind == "decoder" else [named]})
    load_package(str(folder))  # reading it needs none of the code
    with pytest.raises(ConfigError, match=message):
        load(folder)


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        pytest.param(
            "filter", "crop", r"filter \S+:crop must give uint8\[16, 16, 3\], as it got, got uint8\[15", id="a"
        ),
        pytest.param("filter", "to_float", r"must give uint8\[.*\], as it got, got float64", id="dtype"),
        pytest.param("filter", "nothing", r"must give uint8\[.*\], as it got, got None; correct the func", id="none"),
        pytest.param(
            "filter", "fill", r"filter \S+:fill raised ValueError: assignment destination is read", id="write"
        ),
        pytest.param("filter", "always_raise", r"filter \S+:always_raise raised KeyError: 'missing'", id="raises"),
        pytest.param(
            "decoder", "nothing", "decoder .*:nothing must give an array of numpy, as .*, got None", id="array"
        ),
        pytest.param("decoder", "scores_and_list", "must give an array of numpy, as the outputs are, got", id="list"),
        pytest.param("decoder", "first_class_only", "classes must have one name for each of the model's 1", id="shape"),
        pytest.param("decoder", "always_raise", "decoder .*:always_raise raised KeyError", id="decoder-raises"),
        pytest.param("decoder", "write_to_outputs", "write_to_outputs raised ValueError: assignment", id="outputs"),
    ],
)
def test_what_is_wrong_with_every_image_stops_before_any(tmp_path: Path, kind: str, name: str, message: str) -> None:
    facts = {"input__filters": [hook(name, **({"value": 3} if name == "fill" else {}))]}
    folder = hooked_classifier(tmp_path, **({"output__decoder": hook(name)} if kind == "decoder" else facts))
    with pytest.raises(ModelError, match=message) as caught:
        load(folder)
    assert "the model must take a batch" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param(
            "boxes_without_classes", r"a dict of boxes_xyxy, scores, class_ids, got \['boxes_xyxy', 's", id="a"
        ),
        pytest.param("boxes_of_unknown_classes", "class_ids from 0 to 2, got 1 to 3", id="ids"),
        pytest.param("boxes_of_other_shapes", r".*\(B, N\), got \[\[1, 3, 4\], \[1, 1\], \[1, 3\]\]", id="shapes"),
        pytest.param("float_class_ids", "class_ids as integers, got float32", id="dtype"),
    ],
)
def test_boxes_of_the_wrong_kind(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ModelError, match=f"decoder tests.hook_functions:{name} must give {message}"):
        load(detector(tmp_path, output__decoder=hook(name)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("boxes_alone", "must give a Detection, as it got, got ndarray", id="kind"),
        pytest.param("rename_objects", "must give labels that are the names of class_ids, got", id="labels"),
        pytest.param("worst_first", "must give scores in descending order", id="order"),
        pytest.param("write_to_boxes", "raised ValueError: assignment destination is read-only", id="write"),
    ],
)
def test_records_of_the_wrong_kind(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ModelError, match=f"step tests.hook_functions:{name} {message}"):
        load(detector(tmp_path, postprocess=[hook(name)]))


def test_vectors_of_the_wrong_kind(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"task": "embedding", "classes": None, "output": None}
    with (
        np.errstate(divide="ignore", invalid="ignore"),
        pytest.raises(ModelError, match=r"step .*:infinite_vector must give finite vector, got inf or nan"),
    ):
        load(hooked_classifier(tmp_path, postprocess=[hook("infinite_vector")], **facts))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("write_to_mask", "raised ValueError: assignment destination is read-only", id="write"),
        pytest.param("to_list", r"must give uint8\[.*\], as it got, got list of", id="list"),
    ],
)
def test_masks_of_the_wrong_kind(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ModelError, match=f"step tests.hook_functions:{name} {message}"):
        load(hooked_segmenter(tmp_path, postprocess=[hook(name)]))


def test_class_ids_that_no_class_has(tmp_path: Path) -> None:
    folder = hooked_segmenter(tmp_path, postprocess=[hook("clear_left_half", class_id=3)])
    with pytest.raises(ModelError, match=r"step .*:clear_left_half must give class ids below 3, got 3"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        pytest.param(
            "refuse_dark",
            "infer_error",
            "filter tests.hook_functions:refuse_dark raised ValueError: brightest pixel is 0",
            id="any-error",
        ),
        pytest.param("leave_dark_out", "unsupported", "too dark to be judged", id="its-own-status"),
    ],
)
def test_an_image_that_a_filter_fails_on_fails_alone(tmp_path: Path, name: str, status: str, error: str) -> None:
    predictor = load(hooked_classifier(tmp_path, input__filters=[hook(name)]))
    found = predictor.predict_batch([picture(), BLACK, picture()])
    assert [one.status for one in found] == ["ok", status, "ok"]
    assert found[1].error == error
    assert found[1].source.image_hw == (20, 30)


def test_an_image_that_a_decoder_fails_on_fails_alone(tmp_path: Path) -> None:
    limit = 2.0  # of the sums that the picture of one colour gives, over black's 0
    predictor = load(hooked_classifier(tmp_path, output__decoder=hook("poisoned", limit=limit)), batch_size=8)
    images = [BLACK] * 7
    images[4] = picture(channel=1)
    found = predictor.predict_batch(images)
    assert [one.status for one in found] == ["ok"] * 4 + ["infer_error"] + ["ok"] * 2
    assert "decoder tests.hook_functions:poisoned raised RuntimeError: a score is too large" in found[4].error


def test_an_image_that_a_step_fails_on_fails_alone(tmp_path: Path) -> None:
    code = """
def check(mask, *, most):
    if (mask == 1).sum() > most:
        raise ValueError("too much of it")
    return mask
"""
    folder = hooked_segmenter(tmp_path, postprocess=[hook("./s.py:check", most=100)], files={"s.py": code})
    found = load(folder, trust_package_code=True).predict_batch([picture(), picture(channel=1)])
    assert [one.status for one in found] == ["ok", "infer_error"]
    assert found[1].error == "step ./s.py:check raised ValueError: too much of it"
    assert found[1].result is None
    assert found[1].model_digest == found[0].model_digest


def test_code_in_a_package_runs_only_where_it_is_trusted(tmp_path: Path) -> None:
    path = tmp_path / "ran.txt"
    code = f"from pathlib import Path\nPath({str(path)!r}).write_text('ran')\n{CODE}"
    folder = hooked_classifier(tmp_path / "p", input__filters=[hook("./code/f.py:negate")], files={"code/f.py": code})
    package = load_package(str(folder))
    expected = (
        r"input.filters: must be importable from your environment, got './code/f.py:negate', code in the package "
        rf"file://.*/p: code/f.py \(sha256 {package.code.digests()['code/f.py']}\); read it, and if you trust it, say "
        r"so with --trust-package-code"
    )
    for model in (folder, package):
        with pytest.raises(ConfigError, match=expected):
            Predictor.load(model, device="cpu", num_threads=1)
    assert not path.exists()
    bright = np.array(255 - picture())
    assert label_of(folder, bright, trust_package_code=True) == "red"
    assert path.read_text() == "ran"
    with pytest.raises(ConfigError, match="must be importable from your environment"):  # although it ran before
        load(folder)
    trusting = Predictor.load(package, device="cpu", num_threads=1, trust_package_code=True)
    assert trusting.predict(bright).is_ok
    assert not package.code.is_trusted


def test_files_of_a_package_import_each_other(tmp_path: Path) -> None:
    files = {
        "f.py": "from .parts import numbers\nfrom .parts.math import negate\nfrom . import extra\n\n\n"
        "def apply(pixels):\n    from .late import check\n    check(numbers.TOP, extra.NAME)\n"
        "    return negate(pixels, top=numbers.TOP)\n",
        "parts/numbers.py": "TOP = 255\n",
        "parts/math.py": CODE + "\nfrom ..extra import NAME\n",
        "extra.py": "NAME = 'extra'\n",
        "late.py": "def check(*facts):\n    assert facts == (255, 'extra')\n",
        "not_needed.py": "1 / 0\n",
    }
    folder = hooked_classifier(tmp_path, input__filters=[hook("./f.py:apply")], files=files)
    assert label_of(folder, np.array(255 - picture()), trust_package_code=True) == "red"
    assert sorted(load_package(str(folder)).code) == sorted(set(files) - {"not_needed.py"})


def test_the_digest_is_of_the_code_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def digest(name: str, code: str = CODE, **changes: Any) -> str:
        (tmp_path / name).mkdir()
        files = {"f.py": code, "g.py": code, "notes.py": name}
        return load_package(str(hooked_classifier(tmp_path / name, files=files, **changes))).digest

    filters = [hook("./f.py:negate")]
    plain = digest("plain")
    assert plain == load_package(str(hooked_classifier(tmp_path / "without"))).digest
    first = digest("first", input__filters=filters)
    assert first == digest("again", input__filters=filters)
    others = [
        digest("code", CODE + "#", input__filters=filters),
        digest("option", input__filters=[hook("./f.py:negate", top=254)]),
        digest("path", input__filters=[hook("./g.py:negate")]),
        digest("place", postprocess=filters),
    ]
    assert len({plain, first, *others}) == 6

    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    module = tmp_path / "lib" / "digest_of_me.py"
    module.parent.mkdir()
    found = {digest("absent", input__filters=[hook("digest_of_me:negate")])}
    for version in ("", "# other\n"):
        module.write_text(version + CODE)
        found.add(digest(f"module{len(found)}", input__filters=[hook("digest_of_me:negate")]))
    assert len(found) == 3
    assert "digest_of_me" not in __import__("sys").modules


def test_an_architecture_may_lie_in_the_package(tmp_path: Path) -> None:
    net = """
import torch

class Means(torch.nn.Module):
    def __init__(self, gain):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(gain))

    def forward(self, image):
        return image.mean(dim=(2, 3)) * self.gain
"""
    tmp_path.joinpath("p").mkdir()
    torch.save({"gain": torch.tensor(8.0)}, tmp_path / "p" / "w.pth")
    facts = {
        "format": "state_dict",
        "weights": "w.pth",
        "architecture": {"import": "./net.py:Means", "options": {"gain": 1.0}},
    }
    folder = hooked_classifier(tmp_path / "p", files={"net.py": net}, **facts)
    with pytest.raises(ConfigError, match=r"architecture.import: must be importable from your environment"):
        load(folder)
    assert label_of(folder, picture(channel=2), trust_package_code=True) == "blue"
    before = load_package(str(folder)).digest
    (folder / "net.py").write_text(net + "\n# changed\n")
    assert load_package(str(folder)).digest != before


def test_a_package_with_hooks_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    folder = hooked_segmenter(
        tmp_path / "old",
        input__filters=["gray", hook("./f.py:negate", top=250)],
        postprocess=[hook("clear_left_half"), {"open_px": 3}, hook("./s/steps.py:keep")],
        files={
            "f.py": CODE,
            "s/steps.py": "from .same import keep\n",
            "s/same.py": "def keep(mask):\n    return mask\n",
        },
    )
    old = load_package(str(folder), trusts_code=True)
    new = write_package(
        str(tmp_path / "new"), old.spec, files={**old.weights.files, **old.code}, trusts_code=old.code.is_trusted
    )
    assert new.spec == old.spec
    assert new.digest == old.digest
    assert dict(new.code) == dict(old.code)
    answers = [Predictor.load(package, device="cpu", num_threads=1).predict(picture()) for package in (old, new)]
    masks = [answer.result.mask for answer in answers]  # type: ignore[union-attr]
    assert np.array_equal(*masks)


def test_code_of_a_package_from_elsewhere_is_said_aloud(
    tmp_path: Path, s3_bucket: str, caplog: pytest.LogCaptureFixture, s3_server: S3Server
) -> None:
    from inference_core import storage

    folder = hooked_classifier(
        tmp_path, input__filters=[hook("./f.py:negate", top=253)], files={"f.py": CODE + "# from elsewhere\n"}
    )
    uri = f"{s3_bucket}/hooked"
    for path in folder.iterdir():
        storage.replace(storage.join(uri, path.name), path.read_bytes())
    with pytest.raises(
        ConfigError, match=r"must be importable from your environment, .* s3://\S+/hooked: f.py \(sha256"
    ):
        Predictor.load(uri, device="cpu", num_threads=1)
    assert not caplog.records
    local = load(folder, trust_package_code=True)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        predictor = Predictor.load(uri, device="cpu", num_threads=1, trust_package_code=True)
    (line,) = [record.getMessage() for record in caplog.records]
    sha256 = load_package(uri).code.digests()["f.py"]
    assert line == f"running code of the model package {uri}: f.py (sha256 {sha256})"
    one, other = predictor.predict(picture()), local.predict(picture())
    assert one.model_digest == other.model_digest
    assert np.array_equal(one.result.scores, other.result.scores)  # type: ignore[union-attr]


def test_an_export_carries_the_code(tmp_path: Path) -> None:
    from inference_core.convert.export_package import build_export, write_export

    folder = hooked_classifier(
        tmp_path / "old",
        input__filters=[hook("./f.py:negate")],
        output__decoder=hook("swap_classes"),
        files={"f.py": CODE},
    )
    images = draw_folder(tmp_path / "images", 4)
    package = load_package(str(folder), trusts_code=True)
    out = str(tmp_path / "new")
    written = write_export(
        build_export(package, target="openvino", out=out, images=(str(images),), half=False, batch=None, opset=None),
        out,
    )
    assert dict(written.code) == dict(package.code)
    assert written.digest not in ("", package.digest)
    assert load_package(out).digest == written.digest
    answers = [Predictor.load(one, device="cpu", num_threads=1).predict(picture()) for one in (package, written)]
    assert [answer.result.labels for answer in answers] == [answers[0].result.labels] * 2  # type: ignore[union-attr]


def test_the_functions_of_the_documentation_work() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "model-package.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", text.partition("## Hooks")[2], re.DOTALL):
        exec(block, names)
    heads = {"head_a": np.float32([[1, 2]]), "head_b": np.float32([[3, 6]])}
    assert names["decode"](heads).tolist() == [[2, 4]]
    assert names["decode"]({name: torch.tensor(head) for name, head in heads.items()}).tolist() == [[2, 4]]
    boxes = Detection(
        boxes_xyxy=np.float32([[0, 0, 4, 4], [8, 0, 30, 4]]),
        scores=np.float32([0.9, 0.8]),
        class_ids=np.int32([0, 1]),
        labels=("red", "green"),
    )
    assert names["drop_outside"](boxes, box_xyxy=(0, 0, 10, 10)).labels == ("red",)
