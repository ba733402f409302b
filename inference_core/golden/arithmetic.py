"""In which precision an engine computes a package, graphs that were quantised among them."""

from __future__ import annotations

from inference_core.engines.protocol import EngineFacts, Precision
from inference_core.models.package import ModelPackage

QUANTISED_MARKS = {
    "onnx": (b"QuantizeLinear", b"QLinearConv", b"QLinearMatMul", b"ConvInteger", b"MatMulInteger"),
    "openvino": (b"FakeQuantize",),
}
"""Operators of graphs whose activations are rounded to integers, by format; TFLite's engine tells by itself.

Weights alone that are stored as integers (``DequantizeLinear``) leave the arithmetic as it is."""


def is_quantised(package: ModelPackage) -> bool:
    """Whether the graph rounds to integers on its way: its engines then round at different places, one step apart."""
    marks = QUANTISED_MARKS.get(package.spec.format, ())
    return any(mark in data for data in package.weights.files.values() for mark in marks)


def arithmetic_of(package: ModelPackage, facts: EngineFacts) -> Precision:
    """The precision that an engine gives, int8 where it is fp32 only around integers."""
    return "int8" if facts.precision == "fp32" and is_quantised(package) else facts.precision


def judges_outputs(*, engine: str, precision: str, sealed_engine: str, sealed_precision: str) -> bool:
    """Whether raw outputs must be those that were sealed: in the same precision, and of integers on the same engine."""
    return precision == sealed_precision and (precision != "int8" or engine == sealed_engine)
