"""A package in another format, proven on images before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from inference_core.convert.carry_golden import carry_golden
from inference_core.convert.clean_graph import read_metadata
from inference_core.convert.parity import Comparison, compare_packages
from inference_core.convert.repackage import FILE_NAMES, with_weights
from inference_core.convert.sample import read_sample
from inference_core.engines.build import build_engine
from inference_core.engines.table import ENGINES_OF_FORMAT
from inference_core.errors import ConfigError, ModelError
from inference_core.models.package import ModelPackage
from inference_core.models.write_package import check_is_free, write_package
from inference_core.pipeline import blank_hw

TargetFormat = Literal["onnx", "torchscript", "torch_export", "openvino"]
TARGETS: tuple[TargetFormat, ...] = get_args(TargetFormat)
HALF_TARGETS: tuple[TargetFormat, ...] = ("onnx", "openvino")
"""Formats that can hold fp16; torch casts what it runs to the precision that is asked for."""

TENSORRT = "tensorrt"
"""No format: an engine file is tied to one GPU, one driver and one version of TensorRT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A package in its new format, in memory, and how it compares."""

    original: ModelPackage
    package: ModelPackage
    is_half: bool
    comparison: Comparison
    notes: tuple[str, ...]
    """What the user should know of how it was made."""


def build_export(
    package: ModelPackage,
    *,
    target: str,
    out: str,
    images: Sequence[str] = (),
    half: bool = False,
    batch: int | None = None,
    opset: int | None = None,
) -> Export:
    """Convert a package and compare both on images; writes nothing.

    Args:
        package: as read.
        target: one of TARGETS.
        out: where the new package will go; refused where it holds files.
        images: paths, URIs and folders; none for the package's golden images.
        half: weights, and in ONNX arithmetic too, in fp16.
        batch: images per forward of the new graph; None leaves them free, or as the source fixes them.
        opset: version of the ONNX operators, None for the usual.

    Raises:
        ConfigError: a setting is wrong, the two formats do not go together, or there are no images.
        ModelError: the model does not work or cannot be written down.
    """
    wanted = check_target(package, target, half=half, batch=batch, opset=opset)
    check_is_free(out)
    items = read_sample(package, images)
    if runs_on_torch(package):
        converted, notes = convert_module(package, wanted, half=half, batch=batch, opset=opset)
    else:
        converted, notes = convert_graph(package, half=half), ()
    comparison = compare_packages(package, converted, items, half=half)
    return Export(original=package, package=converted, is_half=half, comparison=comparison, notes=notes)


def write_export(export: Export, out: str) -> ModelPackage:
    """Write the new package, if it answers as the original, and the original's golden images into it.

    Raises:
        ModelError: it does not; nothing was written.
    """
    if export.comparison.faults:
        raise ModelError(
            f"the exported package must answer as the original does on {export.comparison.num_images} images, got "
            f"{'; '.join(export.comparison.faults)}; nothing was written: try another format, or --batch N"
        )
    code = export.package.code
    files = {**code, **export.package.weights.files}
    written = write_package(out, export.package.spec, files=files, trusts_code=code.is_trusted)
    if not export.is_half:  # whose values are others; they would have to be sealed anew
        carry_golden(export.original, written)
    return written


def check_target(
    package: ModelPackage, target: str, *, half: bool, batch: int | None, opset: int | None
) -> TargetFormat:
    """The format that a name stands for, if the package can be brought into it so."""
    source = package.spec.format
    if target == TENSORRT:
        raise ConfigError(
            "must be a format that other machines can run, got 'tensorrt', whose engines are tied to one GPU, driver "
            "and version; export to onnx and set execution.engine: tensorrt, which builds the engine where it runs "
            "(needs a CUDA device, TensorRT's libraries and onnxruntime-gpu)",
            key="--format",
        )
    able = TARGETS if runs_on_torch(package) else ("openvino",) if "openvino" in ENGINES_OF_FORMAT[source] else ()
    possible = [name for name in able if name != source]
    wanted = next((name for name in TARGETS if name == target and name in possible), None)
    if wanted is None:
        known = f"one of {', '.join(possible)}" if possible else "absent: nothing is made"
        raise ConfigError(f"must be {known} from a package of format {source}, got {target!r}", key="--format")
    if half and wanted not in HALF_TARGETS:
        raise ConfigError(
            f"must go with {' or '.join(HALF_TARGETS)}, got format {wanted}, whose engine casts the weights itself; "
            "set execution.precision instead",
            key="--half",
        )
    if batch is not None and (batch < 1 or not runs_on_torch(package)):
        raise ConfigError(
            f"must be dynamic, or at least 1 with a model that torch runs, got {batch} with format {source}; leave "
            "it out",
            key="--batch",
        )
    if opset is not None and (wanted not in HALF_TARGETS or not runs_on_torch(package)):
        raise ConfigError(
            f"must go with an ONNX graph that is made here, got format {wanted}; remove it", key="--opset"
        )
    return wanted


def runs_on_torch(package: ModelPackage) -> bool:
    """Whether the package's model is a torch module."""
    return "torch" in ENGINES_OF_FORMAT[package.spec.format]


def convert_module(
    package: ModelPackage, target: TargetFormat, *, half: bool, batch: int | None, opset: int | None
) -> tuple[ModelPackage, tuple[str, ...]]:
    """The new package of a model that torch runs, and what to know of it; torch is loaded here."""
    from inference_core.convert.to_half import halve_graph
    from inference_core.convert.to_onnx import EXPORTER_KEY, export_onnx
    from inference_core.convert.to_program import export_program
    from inference_core.convert.to_torchscript import export_torchscript
    from inference_core.models.torch_module import build_module

    model, spec = build_module(package), package.spec.input
    if None not in (model.max_batch, batch) and model.max_batch != batch:
        raise ConfigError(f"must be {model.max_batch}, which the model fixes, got {batch}; leave it out", key="--batch")
    fixed = model.max_batch or batch
    tile_hw = example_hw(package)
    if target in ("torchscript", "torch_export"):
        write = export_torchscript if target == "torchscript" else export_program
        data = write(model.module, spec, tile_hw=tile_hw, batch=fixed)
        return with_weights(package, weights_format=target, files={FILE_NAMES[target]: data}), ()
    metadata = {"millrace.model": package.spec.name, "millrace.source_digest": package.digest}
    graph = export_onnx(model.module, spec, tile_hw=tile_hw, batch=fixed, opset=opset, metadata=metadata)
    exporter = read_metadata(graph)[EXPORTER_KEY]
    if half and target == "onnx":
        graph = halve_graph(graph)
    converted = with_weights(package, weights_format="onnx", files={FILE_NAMES["onnx"]: graph})
    if target == "openvino":
        converted = convert_graph(converted, half=half)
    return converted, (f"exporter: {exporter}",)


def convert_graph(package: ModelPackage, *, half: bool) -> ModelPackage:
    """The OpenVINO package of a stored graph."""
    from inference_core.convert.to_openvino import export_openvino

    files = export_openvino(package.weights, package.spec.input, names=output_names(package), half=half)
    return with_weights(package, weights_format="openvino", files=files)


def output_names(package: ModelPackage) -> tuple[str, ...]:
    """Names of the outputs as the package's own engine gives them for a blank image."""
    engine = build_engine(package, device="cpu", precision="fp32", num_threads=1)
    return tuple(engine.run(np.zeros((1, *blank_hw(package.spec.input), package.spec.input.num_channels), np.uint8)))


def example_hw(package: ModelPackage) -> tuple[int, int]:
    """Height and width of the example: the input's, or for fit native two that differ and are small to none."""
    spec = package.spec.input
    height, width = blank_hw(spec)
    return (height, width) if spec.size_hw is not None else (height, width + spec.multiple_px)
