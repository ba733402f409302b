"""The task of a package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from inference_core.hook_spec import HookSpec
from inference_core.hooks.function import HookFunction
from inference_core.hooks.package_code import NO_CODE, PackageCode
from inference_core.output_spec import TaskName
from inference_core.spec import ModelSpec
from inference_core.tasks.classification import ClassificationTask
from inference_core.tasks.detection import DetectionTask
from inference_core.tasks.embedding import EmbeddingTask
from inference_core.tasks.enhanced import EnhancedTask
from inference_core.tasks.hook_decoder import HookDecoder
from inference_core.tasks.hook_step import HookRecordStep
from inference_core.tasks.hooked import HookedTask
from inference_core.tasks.merged_spec import merged_spec
from inference_core.tasks.multilabel import MultiLabelTask
from inference_core.tasks.protocol import Task
from inference_core.tasks.segmentation import SegmentationTask

TASKS: Mapping[TaskName, Callable[[ModelSpec], Task]] = MappingProxyType(
    {
        "classification": ClassificationTask,
        "multilabel": MultiLabelTask,
        "detection": DetectionTask,
        "segmentation": SegmentationTask,
        "embedding": EmbeddingTask,
    }
)


def build_task(spec: ModelSpec, *, code: PackageCode = NO_CODE) -> Task:
    """The task that the spec names, with its hooks around it. They are imported when they first run.

    Args:
        spec: the model's.
        code: of the package, where hooks lie in it; without, such a task makes rows and nothing else.
    """
    if spec.is_enhanced:
        return EnhancedTask(build_plain_task(merged_spec(spec), code=code, reads_decoder=False), spec)
    return build_plain_task(spec, code=code)


def build_plain_task(spec: ModelSpec, *, code: PackageCode, reads_decoder: bool = True) -> Task:
    """The task of a single forward.

    Args:
        spec: the model's.
        code: of the package.
        reads_decoder: whether a decoder is called; else what it gives comes, merged already.
    """
    is_mask_task = spec.task == "segmentation"
    task: Task
    if is_mask_task:
        task = SegmentationTask(spec, code=code)
    elif spec.task == "detection":
        task = DetectionTask(spec, reads_decoder=reads_decoder)
    else:
        task = TASKS[spec.task](spec)
    decoder = spec.output.decoder if reads_decoder else None
    steps = [] if is_mask_task else [step for step in spec.postprocess if isinstance(step, HookSpec)]
    if not isinstance(decoder, HookSpec) and not steps:
        return task
    return HookedTask(
        task,
        decoder=HookDecoder(HookFunction(decoder, role="decoder", key="output.decoder", code=code), spec=spec)
        if isinstance(decoder, HookSpec)
        else None,
        steps=[
            HookRecordStep(HookFunction(step, role="step", key="postprocess", code=code), classes=spec.classes)
            for step in steps
        ],
    )
