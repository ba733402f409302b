"""Seal a package: keep a few images with what its model makes of them, so that every later run can be held to it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core import storage
from inference_core.agreement import decision_of
from inference_core.enhance.build import build_package_engine
from inference_core.errors import ConfigError, ModelError
from inference_core.golden.deviation import deviation_of
from inference_core.golden.read import Golden, GoldenImage
from inference_core.golden.record import (
    GOLDEN_FILE,
    GOLDEN_FOLDER,
    GOLDEN_SCHEMA,
    GoldenRecord,
    SealedImage,
    SealedOutput,
    Tolerance,
    identity_of,
)
from inference_core.golden.trace import Trace, Tracer
from inference_core.golden.values import (
    MAX_OUTPUT_VALUES,
    MAX_TILE_VALUES,
    decision_name,
    output_name,
    sampled,
    sampling_step,
    tiles_name,
)
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_preparer
from inference_core.provenance import environment_versions, sha256_hex
from inference_core.tasks.build import build_task

IMAGES = "images"


def seal(
    package: ModelPackage,
    images: Sequence[GoldenImage],
    *,
    force: bool = False,
    tolerance: Tolerance | None = None,
) -> Golden:
    """Write the golden folder of a package: its format's own engine in fp32 on the CPU says what is right.

    Args:
        package: as read; its digest does not change.
        images: at least one; see ``pick_images``.
        force: whether a package that is sealed already may be sealed anew.
        tolerance: how far replays may be off; by default Tolerance's own.

    Returns:
        What was written.

    Raises:
        ConfigError: the package is sealed already.
        ModelError: the model gives no answer to an image, or other values when it is asked again.
    """
    folder = golden_uri(package)
    check_may_seal(folder, force=force)
    tracer = Tracer(package, build_package_engine(package, device="cpu", precision="fp32", num_threads=0))
    preparer = build_preparer(package)
    items = [preparer.prepare(image.data, image_id=image.name) for image in images]
    traces = (answered(tracer.trace(item)) for item in items)
    golden, arrays_data = golden_of(package, tracer, images, traces, tolerance=tolerance or Tolerance())
    check_repeats(golden, (tracer.trace(item) for item in items), package=package)
    write_golden(folder, golden, arrays_data=arrays_data)
    return golden


def golden_uri(package: ModelPackage) -> str:
    """Where the golden images of a package lie."""
    return storage.join(package.uri, GOLDEN_FOLDER)


def check_may_seal(folder: str, *, force: bool) -> None:
    """Raise ConfigError where a package is sealed and may not be sealed anew."""
    if not force and storage.exists(storage.join(folder, GOLDEN_FILE)):
        raise ConfigError(
            f"package must not be sealed yet, got {folder}/{GOLDEN_FILE}; check it with millrace models verify, or "
            "replace it with --force"
        )


def answered(trace: Trace) -> Trace:
    """The trace if it ends in an answer.

    Raises:
        ModelError: it does not.
    """
    if trace.prediction.result is None:
        raise ModelError(
            f"the model must answer every golden image, got {trace.prediction.status} for "
            f"{trace.item.source.image_id}: {trace.prediction.error}; leave it out, or check the package"
        )
    return trace


def golden_of(
    package: ModelPackage,
    tracer: Tracer,
    images: Sequence[GoldenImage],
    traces: Iterable[Trace],
    *,
    tolerance: Tolerance,
) -> tuple[Golden, bytes]:
    """The golden images of a package, and the file of their values."""
    arrays: dict[str, NDArray[Any]] = {}
    sealed = []
    task = build_task(package.spec)
    for index, (image, trace) in enumerate(zip(images, traces, strict=True)):
        assert trace.prediction.result is not None, "only answered images are sealed"
        arrays[decision_name(index)] = decision_of(trace.prediction.result)
        answer = task.to_row(trace.prediction.result)
        sealed.append(seal_image(index, image.name, trace, answer=answer, arrays=arrays))
    arrays_data = encode_arrays(arrays)
    sha256 = sha256_hex(arrays_data)
    record = GoldenRecord(
        schema_version=GOLDEN_SCHEMA,
        model_digest=package.digest,
        identity=identity_of(package),
        engine=tracer.facts.engine,
        precision=tracer.precision,
        versions=environment_versions(),
        tolerance=tolerance,
        arrays_file=f"values-{sha256[:16]}.npz",
        arrays_sha256=sha256,
        images=tuple(sealed),
    )
    return Golden(record=record, images=tuple(images), arrays=arrays), arrays_data


def seal_image(
    index: int, name: str, trace: Trace, *, answer: dict[str, Any], arrays: dict[str, NDArray[Any]]
) -> SealedImage:
    """The record of one image; what is kept of its values is added to ``arrays``."""
    prepared, sha256 = trace.item.prepared, trace.item.source.sha256
    assert prepared is not None, "only answered images are sealed"
    tiles = np.ascontiguousarray(prepared.tiles)
    step = sampling_step(tiles.size, max_values=MAX_TILE_VALUES)
    arrays[tiles_name(index)] = sampled(tiles, step=step)
    outputs = []
    for position, (output, values) in enumerate(trace.outputs.items()):
        outputs.append(seal_output(output, values))
        arrays[output_name(index, position)] = sampled(values, step=outputs[-1].step)
    return SealedImage(
        file=f"{IMAGES}/{file_name(name, sha256=sha256)}",
        sha256=sha256,
        tiles_shape=tuple(tiles.shape),
        tiles_sha256=sha256_hex(tiles.data),
        tiles_step=step,
        placement=prepared.placement,
        outputs=tuple(outputs),
        answer=answer,
    )


def file_name(name: str, *, sha256: str) -> str:
    """A name of its own for an image; that of a golden image that is sealed again stays."""
    prefix = f"{sha256[:8]}-"
    return name if name.startswith(prefix) else f"{prefix}{name}"


def seal_output(name: str, values: NDArray[Any]) -> SealedOutput:
    """What the record says of one raw output, given flat."""
    finite = values[np.isfinite(values)]
    return SealedOutput(
        name=name,
        dtype=str(values.dtype),
        num_values=len(values),
        step=sampling_step(len(values), max_values=MAX_OUTPUT_VALUES),
        largest=float(np.abs(finite.astype(np.float64)).max(initial=0.0)),
    )


def encode_arrays(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Arrays as a compressed ``.npz``; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def check_repeats(golden: Golden, traces: Iterable[Trace], *, package: ModelPackage) -> None:
    """Raise ModelError unless the model gave the same again, within the tolerance."""
    found = deviation_of(
        golden,
        traces,
        task=package.spec.task,
        engine=golden.record.engine,
        precision=golden.record.precision,
        resampler=package.spec.input.resampler,
    )
    if not found.passed:
        raise ModelError(
            f"the model must give the same values whenever it is asked, got this the second time: "
            f"{'; '.join(found.faults)}; export it in evaluation mode"
        )


def write_golden(folder: str, golden: Golden, *, arrays_data: bytes) -> None:
    """Write images and values, then the record that names them, then remove what an earlier one named.

    Names hold a digest of their content, so that the earlier golden images stay whole until the record is replaced.
    """
    record = golden.record
    for sealed, image in zip(record.images, golden.images, strict=True):
        storage.replace(storage.join(folder, sealed.file), image.data)
    storage.replace(storage.join(folder, record.arrays_file), arrays_data)
    storage.replace(storage.join(folder, GOLDEN_FILE), record.model_dump_json(indent=1).encode())
    named = {GOLDEN_FILE, record.arrays_file, *(image.file for image in record.images)}
    storage.delete_many([found.uri for found in storage.list_objects(folder) if found.path not in named])
