"""What a TFLite file tells; of a quantised one, the range of values that its input's integers stand for."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from inference_core.engines.litert_engine import open_interpreter
from inference_core.importing.class_names import distinct
from inference_core.importing.draft import Draft, Fact
from inference_core.importing.graph import draft_graph
from inference_core.importing.input_facts import GraphInput, only_input
from inference_core.importing.ultralytics import draft_ultralytics, is_ultralytics, probing_facts
from inference_core.models.weights import Weights

PLAIN_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-128.0, 127.0))
"""Real values that whole pixels were trained as; any other range holds several channels' means and says nothing."""
RANGE_TOLERANCE = 0.01
"""Share of the range: integers of 1/128 end at 127/128."""
METADATA_ENDINGS = ("ultralytics_metadata.json", "temp_meta.txt")
MAX_ATTACHED_BYTES = 4 << 20


def draft_tflite(weights: Weights, *, given: Mapping[str, Any]) -> Draft:
    """The facts in a graph, in its quantisation and in the files attached to it.

    Args:
        weights: the file.
        given: the user's facts by dotted key.

    Raises:
        ConfigError: ai-edge-litert is not installed, or the user's classes do not fit.
        ModelError: the file is no graph, or it takes something else than one image batch.
    """
    interpreter = open_interpreter(weights, num_threads=1)
    details = interpreter.get_input_details()
    port = only_input([graph_input(entry) for entry in details])
    attached = read_attached(weights.data)
    step = max((float(entry["quantization"][0]) for entry in interpreter.get_output_details()), default=0.0)
    metadata = find_metadata(attached)
    names = find_labels(attached, num_outputs=count_outputs(interpreter))
    known = Draft(found=(*pixel_range(details[0]), *names))
    said = {**(probing_facts(metadata) if metadata else {}), **given}
    draft = draft_graph(weights, "tflite", port=port, given=said, known=known, step=step)
    return draft_ultralytics(metadata, draft) if metadata else draft


def graph_input(details: Mapping[str, Any]) -> GraphInput:
    """LiteRT's description of a tensor."""
    shape = tuple(int(size) if size > 0 else None for size in details["shape_signature"])
    return GraphInput(name=str(details["name"]), shape=shape)


def pixel_range(details: Mapping[str, Any]) -> tuple[Fact, ...]:
    """What a pixel stands for where the input takes pixels themselves as integers.

    Source: LiteRT 8-bit quantization specification: real = (integer - zero_point) * scale.
    """
    dtype = np.dtype(details["dtype"])
    step, zero_point = details["quantization"]
    if dtype not in (np.dtype(np.uint8), np.dtype(np.int8)) or step == 0:
        return ()
    first = int(np.iinfo(dtype).min)  # what stands for a pixel of 0
    low, high = (first - zero_point) * step, (first + 255 - zero_point) * step
    if not any(is_near((low, high), plain) for plain in PLAIN_RANGES):
        return ()
    origin = f"the {dtype} input: scale {step:g}, zero point {zero_point}, so pixels stand for {low:g} to {high:g}"
    values = {"scale": float(1 / step), "mean": [float(-low)], "std": [1.0]}
    return tuple(Fact(key=f"input.{key}", value=value, origin=origin) for key, value in values.items())


def is_near(own: tuple[float, float], plain: tuple[float, float]) -> bool:
    """Whether a range is a plain one, but for its last step."""
    tolerance = RANGE_TOLERANCE * (plain[1] - plain[0])
    return all(abs(end - usual) <= tolerance for end, usual in zip(own, plain, strict=True))


def read_attached(data: bytes) -> dict[str, str]:
    """Text files in the zip archive that may hang at a graph's end, by name."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            small = [entry for entry in archive.infolist() if entry.file_size <= MAX_ATTACHED_BYTES]
            return {entry.filename: archive.read(entry).decode("utf-8", errors="replace") for entry in small}
    except zipfile.BadZipFile:
        return {}


def find_metadata(attached: Mapping[str, str]) -> dict[str, str] | None:
    """The metadata that Ultralytics attaches, its values as text."""
    for name, text in attached.items():
        if name.lower().endswith(METADATA_ENDINGS):
            try:
                entries = json.loads(text)
            except ValueError:
                continue
            metadata = {key: str(value) for key, value in entries.items()} if isinstance(entries, dict) else {}
            if is_ultralytics(metadata):
                return metadata
    return None


def count_outputs(interpreter: Any) -> int | None:
    """Values per image of the only output, None where there are several."""
    outputs = interpreter.get_output_details()
    return int(np.prod(outputs[0]["shape_signature"][1:])) if len(outputs) == 1 else None


def find_labels(attached: Mapping[str, str], *, num_outputs: int | None) -> tuple[Fact, ...]:
    """Class names from the only attached text file with one for each output."""
    lists = {
        name: [line.strip() for line in text.splitlines() if line.strip()]
        for name, text in attached.items()
        if name.endswith(".txt")
    }
    fitting = {name: names for name, names in lists.items() if len(names) == num_outputs}
    if len(fitting) != 1:
        return ()
    ((name, names),) = fitting.items()
    return (Fact(key="classes", value=distinct(names), origin=f"{name}, attached to the graph"),)
