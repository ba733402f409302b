"""The one door: prepare, infer and finish, built from a package.

``Predictor`` composes them in one process, ``jobs`` maps them to stages of a Ray Data pipeline, ``serve`` to the
sides of a deployment. There is no second way to build any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from inference_core.engines.build import count_cuda_devices
from inference_core.enhance.build import build_package_engine, share_engine
from inference_core.enhance.member_join import MemberJoin, image_spec
from inference_core.errors import ConfigError, DeviceMemoryError, EngineError, InferError, ModelError
from inference_core.finisher import Finisher
from inference_core.hooks.named import hooks_of
from inference_core.images import Limits
from inference_core.input_spec import InputSpec
from inference_core.models.package import ModelPackage
from inference_core.prepare import plan_fit
from inference_core.preparer import MAX_FIT_PIXELS, Preparer
from inference_core.quality.grader import Grader
from inference_core.runner import Runner
from inference_core.tasks.build import build_task

CPU_BATCH_SIZE = 16
"""Default images per forward on a CPU, where larger batches leave the caches."""
CUDA_BATCH_SIZE = 64
"""Default images per forward on a GPU."""


def build_preparer(
    package: ModelPackage, *, limits: Limits | None = None, max_fit_pixels: int = MAX_FIT_PIXELS
) -> Preparer:
    """The first verb of a package."""
    limits = limits or Limits()
    others = [
        Preparer(block.spec.input, limits=limits, max_fit_pixels=max_fit_pixels, code=block.code)
        for block in package.blocks[1:]
    ]
    return Preparer(
        package.spec.input,
        limits=limits,
        max_fit_pixels=max_fit_pixels,
        code=package.code,
        tells_look="image" in package.spec.statistic_groups,
        others=others,
    )


def build_runner(
    package: ModelPackage,
    *,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    num_threads: int = 0,
    engine: str = "default",
    compiles: bool = False,
    cuda_graphs: bool = False,
    size_of_shape: Mapping[tuple[int, int], int] | None = None,
) -> Runner:
    """The second verb of a package: loads the model.

    Args:
        package: as read.
        device: auto, cpu or cuda:N.
        precision: auto, fp32, fp16 or bf16.
        batch_size: images per forward; None chooses by device.
        num_threads: CPU threads of one forward; 0 leaves it to the library.
        engine: default (the format's own), torch, onnxruntime, tensorrt, openvino or litert.
        compiles: engine torch: compile the module for each height and width that it meets.
        cuda_graphs: engine torch on CUDA: record forwards and replay them.
        size_of_shape: (h, w) to tiles per forward of that shape, where fewer than ``batch_size`` are faster.

    Raises:
        ConfigError: a number is out of range, or the device, the precision or an extra cannot be had.
        ModelError: the weights do not load or do not fit the spec.
    """
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"must be at least 1, got {batch_size}; correct it", key="batch_size")
    if num_threads < 0:
        raise ConfigError(f"must be at least 0, got {num_threads}; 0 leaves it to the library", key="num_threads")
    built = build_package_engine(
        package,
        device=device,
        precision=precision,
        num_threads=num_threads,
        engine=engine,
        compiles=compiles,
        cuda_graphs=cuda_graphs,
    )
    size = batch_size or default_batch_size(built.facts.device)
    return Runner(built, build_task(package.spec, code=package.code), batch_size=size, size_of_shape=size_of_shape)


def share_runner(runner: Runner, package: ModelPackage) -> Runner:
    """The second verb of a package whose model another runner has loaded: with other views, or without.

    Args:
        runner: of a package with the same weights; both are used by one thread at a time.
        package: says which forwards its answer is made of.
    """
    engine = share_engine(runner.engine, package)
    return Runner(engine, build_task(package.spec, code=package.code), batch_size=runner.batch_size)


def default_batch_size(device: str) -> int:
    """Images per forward where nobody says."""
    return CPU_BATCH_SIZE if device == "cpu" else CUDA_BATCH_SIZE


def build_finisher(package: ModelPackage) -> Finisher:
    """The third verb of a package."""
    spec, grader = package.spec, Grader(package.spec)
    if not package.has_unlike_inputs:
        return Finisher(build_task(spec, code=package.code), model_digest=package.digest, grader=grader)
    task = build_task(image_spec(spec), code=package.code)
    member_join = MemberJoin(spec, [member.spec for member in package.members], task=task)
    return Finisher(task, model_digest=package.digest, grader=grader, member_join=member_join)


def has_cuda_device() -> bool:
    """Whether this process sees a CUDA device."""
    return num_cuda_devices() > 0


def num_cuda_devices() -> int:
    """CUDA devices that this process sees."""
    return count_cuda_devices()


def check_runner(package: ModelPackage, runner: Runner) -> None:
    """Run blank images, so that a package that cannot work fails before any image is read.

    Raises:
        ConfigError: a hook cannot be imported, may not be run, or does not take its options.
        ModelError: the model refuses its own input, its output does not fit the task and the classes, or a hook fails
            or gives what it must not.
    """
    if runner.members:
        for member, one in zip(package.members, runner.members, strict=True):
            check_forward(one, member.spec.input)
    else:
        check_forward(runner, package.spec.input)
    if hooks_of(package.spec):
        check_hooks(package, runner)


def check_forward(runner: Runner, spec: InputSpec) -> None:
    """Run blank images through one model.

    Raises:
        ModelError: it refuses them, or its output does not fit the task and the classes.
    """
    shape = (1, *blank_hw(spec), spec.num_channels)
    blank = np.zeros(shape, np.uint8)
    try:
        runner.forward(blank)
    except EngineError as exc:
        if isinstance(exc.__cause__, InferError | ModelError):  # of a decoder of the user's: it says what is wrong
            raise ModelError(str(exc)) from exc
        raise ModelError(
            f"the model must take a batch of shape {list(shape)} (B, h, w, C), but refused it: {exc}; "
            "check input.color, input.size_hw, input.layout and architecture.options in model.yaml"
        ) from exc
    # Two, to see that the output has a batch axis. A model that takes only one at a time works, batch by batch halved.
    with suppress(EngineError, DeviceMemoryError):
        runner.forward(np.repeat(blank, 2, axis=0))


def check_hooks(package: ModelPackage, runner: Runner) -> None:
    """Bring a black and a coloured picture through all verbs. A hook may raise on one of them, as on any image.

    Raises:
        ConfigError: a hook cannot be imported, may not be run, or does not take its options.
        ModelError: hooks raised on both, or gave what they must not.
    """
    preparer, finisher = build_preparer(package), build_finisher(package)
    height, width = blank_hw(package.spec.input)
    down, across = np.meshgrid(np.linspace(0, 255, height), np.linspace(0, 255, width), indexing="ij")
    coloured = np.stack([down, across, 255 - down], axis=-1).astype(np.uint8)
    errors = []
    for picture in (np.zeros_like(coloured), coloured):
        item = preparer.prepare(picture, image_id="check")
        prediction = finisher.finish(runner.infer([item])[0])
        if any(hook.import_path in prediction.error for hook in hooks_of(package.spec)):
            errors.append(prediction.error)
    if any(" must give " in error for error in errors):
        raise ModelError(errors[-1])
    if len(errors) == 2:
        raise ModelError(
            f"{errors[-1]} (on a coloured picture, and on a black one); correct the function, or raise "
            "inference_core.errors.UnsupportedError in it where it means to refuse an image"
        )


def blank_hw(spec: InputSpec) -> tuple[int, int]:
    """Height and width of a small input that the spec allows."""
    if spec.size_hw is not None:
        return spec.size_hw
    return plan_fit((256, 256), fit="native", size_hw=None, multiple_px=spec.multiple_px).tile_hw
