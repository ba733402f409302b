from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from inference_core.engine_choice import EngineChoice
from inference_core.models.package import ModelPackage
from jobs.bottleneck import WAITING, WORK, Workers
from jobs.levers import find_levers
from tests.jobs.conftest import MakeJob

WHOLE = Workers(layout="whole", actors=4, num_cores=4)


def levers(package: ModelPackage, make_job: MakeJob, workers: Workers = WHOLE, **changes: Any) -> dict[str, str]:
    chosen = changes.pop("chosen", None)
    return find_levers(package, make_job(**changes), workers, chosen=chosen, starts_ray=True)


def with_input(package: ModelPackage, **changes: Any) -> ModelPackage:
    return replace(
        package, spec=package.spec.model_copy(update={"input": package.spec.input.model_copy(update=changes)})
    )


def test_every_stage_has_an_answer(make_job: MakeJob, segmenter: ModelPackage) -> None:
    assert set(levers(segmenter, make_job)) == {*WORK, WAITING}


def test_a_resampler_is_named_only_where_the_exact_one_resizes(make_job: MakeJob, classifier: ModelPackage) -> None:
    assert "input.resampler: torch" in levers(classifier, make_job)["prepare"]
    assert "resampler" not in levers(with_input(classifier, resampler="torch"), make_job)["prepare"]
    assert "resampler" not in levers(with_input(classifier, fit="native"), make_job)["prepare"]


def test_another_engine_is_named_until_one_was_chosen(make_job: MakeJob, classifier: ModelPackage) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    assert "execution.engine: auto, which times openvino beside onnxruntime" in levers(classifier, make_job)["infer"]
    chosen = EngineChoice(engine="openvino", precision="fp32", reason="", warnings=(), table=())
    after = levers(classifier, make_job, execution__engine="auto", chosen=chosen)["infer"]
    assert "openvino in fp32 is the fastest of what was compared" in after


def test_masks_are_named_where_they_are_written(make_job: MakeJob, segmenter: ModelPackage) -> None:
    assert "results.masks: none" in levers(segmenter, make_job)["write"]
    assert "masks" not in levers(segmenter, make_job, results__masks="none")["write"]


def test_cores_without_a_worker_come_first(make_job: MakeJob, classifier: ModelPackage) -> None:
    few = Workers(layout="whole", actors=1, num_cores=4)
    assert "3 cores have no worker" in levers(classifier, make_job, few)["infer"]
    most = Workers(layout="whole", actors=3, num_cores=4)
    assert "1 core has no worker" in levers(classifier, make_job, most)["infer"]
    threads = levers(classifier, make_job, few, execution__threads_per_actor=4)["infer"]
    assert "no worker" not in threads


def test_without_gpus_the_whole_layout_is_better(make_job: MakeJob, classifier: ModelPackage) -> None:
    split = Workers(layout="split", actors=2, prepare_tasks=2, commit_tasks=1, num_cores=4)
    assert "execution.layout: whole" in levers(classifier, make_job, split)["infer"]
