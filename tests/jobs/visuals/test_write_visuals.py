"""Pictures of finished runs, drawn from what was committed."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage
from jobs.afterwards_config import VisualsConfig
from jobs.config import JobConfig
from jobs.finalize import finalize
from jobs.finalize_again import settings_again, visuals_again
from jobs.identity import identity_of
from jobs.plan import load_plan
from jobs.visuals.request import visual_request
from tests.drawn_images import png_bytes, write
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import list_job, plan_job, run_shards
from tests.jobs.test_finalize import note

WANTED = {"worst": 2, "random": 3, "per_class": 1, "per_error": 2, "review": 2}


def finish(config: JobConfig, package: ModelPackage) -> None:
    """Run a job and draw what its settings ask for."""
    plan = plan_job(config, package)
    run_shards(config, package, plan)
    note(config.output, started_s=1000.0)
    finalize(config.output, plan, visuals=visual_request(config, package.spec))


def draw_again(config: JobConfig, package: ModelPackage, **visuals: Any) -> dict[str, Any]:
    """Finalise with other pictures; the index."""
    changed = config.model_copy(update={"visuals": VisualsConfig(**visuals)})
    finalize(config.output, load_plan(config.output), visuals=visual_request(changed, package.spec))
    return index_of(config)


def folder_of(config: JobConfig) -> Path:
    return Path(config.output.removeprefix("file://")) / "visuals"


def index_of(config: JobConfig) -> dict[str, Any]:
    return json.loads((folder_of(config) / "index.json").read_text())  # type: ignore[no-any-return]


def files_of(config: JobConfig) -> dict[str, bytes]:
    return {str(path.relative_to(folder_of(config))): path.read_bytes() for path in folder_of(config).rglob("*.*g")}


def size_of(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


@pytest.fixture
def job(make_job: MakeJob, classifier: ModelPackage) -> JobConfig:
    """A run of seven good and three bad images in three shards, with pictures."""
    config = make_job(execution__rows_per_shard=4, visuals=json.dumps(WANTED))
    finish(config, classifier)
    return config


def test_a_job_that_asks_for_none_has_no_pictures(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    finish(config, classifier)
    assert not folder_of(config).exists()


def test_the_index_names_every_picture_and_nothing_else(job: JobConfig) -> None:
    index, files = index_of(job), files_of(job)
    named = {
        image[name].removeprefix("visuals/")
        for image in index["images"]
        for name in ("picture", "thumbnail")
        if image[name]
    }
    assert named == set(files)
    for image in index["images"]:
        if image["picture"]:
            width, height = size_of(files[image["picture"].removeprefix("visuals/")])
            assert [height, width] == image["picture_hw"]
            width, height = size_of(files[image["thumbnail"].removeprefix("visuals/")])
            assert [height, width] == image["thumbnail_hw"] == [20, 24]
            assert image["picture"].startswith(f"visuals/{image['reasons'][0]['policy']}/")
    assert (index["policies"], index["seed"], index["max"], index["num_all"]) == (WANTED, 0, 500, None)
    assert index["num_wanted"] == len(index["images"])


def test_failures_say_why_they_have_no_picture(job: JobConfig) -> None:
    failed = [image for image in index_of(job)["images"] if image["status"] != "ok"]
    assert len(failed) == 3
    assert all(image["picture"] is None and "cannot be decoded" in image["note"] for image in failed)
    assert all(image["reasons"][0]["group"] == image["status"] and image["error"] for image in failed)


def test_drawing_twice_is_drawing_once(job: JobConfig, classifier: ModelPackage) -> None:
    before, index = files_of(job), index_of(job)
    assert draw_again(job, classifier, **WANTED) == index
    assert files_of(job) == before


def test_what_is_no_longer_wanted_goes(job: JobConfig, classifier: ModelPackage) -> None:
    index = draw_again(job, classifier, random=1)
    assert len(index["images"]) == 1
    assert len(files_of(job)) == 2


def test_pictures_do_not_depend_on_shards(job: JobConfig, classifier: ModelPackage, make_job: MakeJob) -> None:
    other = make_job(output=f"{job.output}-other", execution__rows_per_shard=3, visuals=json.dumps(WANTED))
    finish(other, classifier)
    one, two = index_of(job), index_of(other)
    assert len(list_job(job).shards) != len(list_job(other).shards)
    assert one["images"] == two["images"]
    assert files_of(job) == files_of(other)


def test_the_cap_holds(job: JobConfig, classifier: ModelPackage) -> None:
    index = draw_again(job, classifier, **WANTED, max=2)
    assert (len(index["images"]), index["num_wanted"] > 2) == (2, True)


def test_all_images_are_drawn_where_asked(job: JobConfig, classifier: ModelPackage) -> None:
    index = draw_again(job, classifier, all=True, random=1)
    assert index["num_all"] == 7
    assert len([name for name in files_of(job) if name.startswith("all/")]) == 7
    assert len(index["images"]) == 1


def test_pictures_are_scaled_to_the_sides_asked_for(job: JobConfig, classifier: ModelPackage) -> None:
    (image,) = draw_again(job, classifier, random=1, thumbnail_px=12, picture_px=12)["images"]
    assert max(image["thumbnail_hw"]) == 12
    assert image["picture_hw"][0] >= 10


def test_a_mask_is_drawn_over_its_image_from_the_file_that_was_kept(
    make_job: MakeJob, segmenter: ModelPackage, images: Path
) -> None:
    config = make_job(model=segmenter.uri, visuals='{"random": 7, "palette": ["black", "black", "white"], "alpha": 1}')
    finish(config, segmenter)
    (drawn,) = (image for image in index_of(config)["images"] if image["image_id"] == "0002.png")
    pixels = np.asarray(Image.open(io.BytesIO(files_of(config)[drawn["thumbnail"].removeprefix("visuals/")])))
    own = np.asarray(Image.open(images / "0002.png"))
    assert drawn["label"].startswith("blue")
    assert own.mean() < 120
    assert pixels.mean() > 200  # the third class, white


def test_without_kept_masks_the_image_stands_alone(make_job: MakeJob, segmenter: ModelPackage) -> None:
    config = make_job(model=segmenter.uri, results__masks="none", visuals='{"random": 1}')
    finish(config, segmenter)
    (image,) = index_of(config)["images"]
    assert image["picture"]
    assert image["note"] == "drawn without its mask, which the run did not keep (results.masks: none)"


def test_an_image_that_was_changed_since_is_not_drawn_over(
    job: JobConfig, classifier: ModelPackage, images: Path
) -> None:
    for path in images.rglob("*.png"):
        if path.name != "truncated.png":
            write(path, png_bytes(1, image_hw=(9, 9)))
    index = draw_again(job, classifier, random=2)
    assert {image["note"] for image in index["images"]} == {"the file was changed since: it has another size"}


def test_an_image_that_is_gone_has_no_picture(job: JobConfig, classifier: ModelPackage, images: Path) -> None:
    for path in images.rglob("*.png"):
        path.unlink()
    index = draw_again(job, classifier, random=2)
    assert all(image["picture"] is None and "cannot be read" in image["note"] for image in index["images"])
    assert files_of(job) == {}


def test_hostile_names_are_files_like_others(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    folder = tmp_path / "hostile"
    for name in ("<script>.png", "a b#c?.png", "..png", "%2e.png", "x" * 200 + ".png", "ж.png"):
        write(folder / name, png_bytes(0))
    config = make_job(input=str(folder), exclude="[]", visuals='{"random": 10}')
    finish(config, classifier)
    images = index_of(config)["images"]
    assert len(images) == len({image["picture"] for image in images}) == 6
    assert all((folder_of(config).parent / image["picture"]).is_file() for image in images)


@pytest.mark.integration
def test_pictures_of_an_output_in_a_bucket(make_job: MakeJob, classifier: ModelPackage, s3_bucket: str) -> None:
    from inference_core import storage

    config = make_job(output=f"{s3_bucket}/visuals-of-a-run", visuals='{"worst": 2, "per_error": 1}')
    finish(config, classifier)
    index = json.loads(storage.read_bytes(storage.join(config.output, "visuals", "index.json")))
    pictures = [image["picture"] for image in index["images"] if image["picture"]]
    assert len(pictures) == 2
    assert all(
        storage.read_bytes(storage.join(config.output, *path.split("/")))[:2] == b"\xff\xd8" for path in pictures
    )


def test_pictures_are_no_part_of_what_a_run_is(make_job: MakeJob) -> None:
    plain, drawn = make_job(), make_job(visuals='{"worst": 5}')
    assert identity_of(plain, model_digest="a") == identity_of(drawn, model_digest="a")


def test_too_few_colours_are_refused_before_the_run(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(visuals='{"worst": 5, "palette": ["red"]}')
    with pytest.raises(ConfigError, match=r"visuals\.palette: must have a colour for each of 3 classes, got 1"):
        visual_request(config, classifier.spec)


def test_a_finished_run_is_given_other_pictures(job: JobConfig) -> None:
    plan = load_plan(job.output)
    config = settings_again(plan, ["visuals.random=1", "visuals.worst=0"], output=job.output)
    assert (config.visuals.random, config.visuals.worst, config.visuals.review) == (1, 0, 2)
    assert visuals_again(config, must_draw=True, say=pytest.fail) is not None


def test_other_settings_of_a_finished_run_stay(job: JobConfig) -> None:
    with pytest.raises(ConfigError, match=r"limits\.max_bytes: must be of visuals, explain, videos, since"):
        settings_again(load_plan(job.output), ["limits.max_bytes=5"], output=job.output)


def test_without_the_model_pictures_stay_as_they_are(job: JobConfig) -> None:
    config = settings_again(load_plan(job.output), [], output=job.output).model_copy(update={"model": "gone"})
    told: list[str] = []
    assert visuals_again(config, must_draw=False, say=told.append) is None
    assert "visuals stay as they are" in told[0]
    with pytest.raises(ConfigError):
        visuals_again(config, must_draw=True, say=told.append)
