"""Run the steps of a recipe on a package, one after the other, each on what the one before gave."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from inference_core.convert.export_package import convert_module
from inference_core.convert.repackage import FILE_NAMES, with_weights
from inference_core.errors import ConfigError
from inference_core.items import PreparedItem
from inference_core.models.package import ModelPackage
from inference_core.optimise.graph import count_nodes, optimise_package
from inference_core.optimise.half import halve_arithmetic, halve_stored
from inference_core.optimise.prune import prune_package
from inference_core.optimise.quantize import quantize_dynamic, quantize_static
from inference_core.optimise.read_graph import read_graph
from inference_core.optimise.recipe import Recipe, StepName, plan_steps

QUANTISED_OPERATORS = frozenset({"QuantizeLinear", "DequantizeLinear", "ConvInteger", "MatMulInteger"})
"""Operators of graphs in 8 bits, beside those whose names begin with QLinear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The package behind one step."""

    step: StepName
    package: ModelPackage
    """In memory; nothing of it is written yet."""
    note: str
    """What was done."""


def run_steps(package: ModelPackage, recipe: Recipe, *, calibration: Sequence[PreparedItem]) -> Iterator[Stage]:
    """The stages of a recipe, in order.

    Args:
        package: as read.
        recipe: what is asked for.
        calibration: prepared images for static int8; at least one for it.

    Raises:
        ConfigError: the recipe does not go with the package.
        ModelError: a step does not take the model.
    """
    steps = plan_steps(recipe, weights_format=package.spec.format)
    actions: dict[StepName, Callable[[ModelPackage], tuple[ModelPackage, str]]] = {
        "fuse": fold_package,
        "prune": partial(prune_package, frac=recipe.prune_frac or 0.0),
        "to-onnx": export_package,
        "graph": partial(optimise_package, level=recipe.graph or "basic"),
        "int8": partial(quantize_package, recipe=recipe, calibration=calibration),
        "half": partial(halve_package, recipe=recipe),
    }
    for step in steps:
        package, note = actions[step](package)
        yield Stage(step=step, package=package, note=note)


def fold_package(package: ModelPackage) -> tuple[ModelPackage, str]:
    """A torch package with its batch norms folded, and what was done; torch is loaded here."""
    from inference_core.optimise.fuse import fuse_package

    return fuse_package(package)


def export_package(package: ModelPackage) -> tuple[ModelPackage, str]:
    """A torch package as ONNX, and what was done."""
    exported, notes = convert_module(package, "onnx", half=False, batch=None, opset=None)
    return exported, "; ".join(("exported to ONNX, on which the next step works", *notes))


def quantize_package(
    package: ModelPackage, *, recipe: Recipe, calibration: Sequence[PreparedItem]
) -> tuple[ModelPackage, str]:
    """A package of format onnx in int8, and what was done."""
    graph = read_graph(package)
    check_is_float(graph)
    if recipe.int8 == "dynamic":
        data = quantize_dynamic(graph, keep_float=recipe.keep_float, is_seven_bit=recipe.is_seven_bit)
        note = "uint8 weights, activations scaled at every forward: small, and slow for convolutions"
    else:
        if not calibration:
            raise ConfigError("must be given with --int8 static; name a folder of images", key="--calibration")
        data = quantize_static(
            graph,
            calibration,
            package.spec.input,
            ranges=recipe.ranges,
            keep_float=recipe.keep_float,
            is_seven_bit=recipe.is_seven_bit,
        )
        note = (
            f"int8 weights with a scale for each channel, uint8 activations; ranges ({recipe.ranges}) of "
            f"{len(calibration)} calibration images"
        )
    return with_weights(package, weights_format="onnx", files={FILE_NAMES["onnx"]: data}), note


def check_is_float(graph: bytes) -> None:
    """Raise ConfigError where a graph computes in 8 bits already."""
    found = sorted(name for name in count_nodes(graph) if name in QUANTISED_OPERATORS or name.startswith("QLinear"))
    if found:
        raise ConfigError(
            f"must go with a model in float, got one with {', '.join(found)}, which is quantised already; start from "
            "the original",
            key="--int8",
        )


def halve_package(package: ModelPackage, *, recipe: Recipe) -> tuple[ModelPackage, str]:
    """A package in half precision, and what was done."""
    if recipe.half == "graph":
        return halve_arithmetic(package, keep_float=recipe.keep_float)
    return halve_stored(package)
