"""What a TorchScript archive tells: next to nothing but what comes out when it runs."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from inference_core.importing.draft import Draft
from inference_core.importing.graph import draft_graph
from inference_core.importing.input_facts import GraphInput
from inference_core.importing.ultralytics import draft_ultralytics, is_ultralytics, probing_facts
from inference_core.models.weights import Weights

FREE_IMAGES = GraphInput(name="image", shape=(None, 3, None, None))
"""An archive does not say what it takes: images of three channels unless the user says gray."""
FREE_GRAY = GraphInput(name="image", shape=(None, 1, None, None))
METADATA_ENTRY = "extra/config.txt"
"""Where Ultralytics keeps what it knows."""


def draft_torchscript(weights: Weights, *, given: Mapping[str, Any]) -> Draft:
    """The facts in an archive.

    Args:
        weights: the file.
        given: the user's facts by dotted key.

    Raises:
        ConfigError: the user's classes do not fit.
        ModelError: the file is no archive, or it refuses batches of images.
    """
    port = FREE_GRAY if given.get("input.color") == "gray" else FREE_IMAGES
    if given.get("input.layout") == "BHWC":
        port = GraphInput(name=port.name, shape=(None, None, None, port.shape[1]))
    metadata = read_metadata(weights.data)
    said = {**(probing_facts(metadata) if metadata else {}), **given}
    draft = draft_graph(weights, "torchscript", port=port, given=said)
    return draft_ultralytics(metadata, draft) if metadata else draft


def read_metadata(data: bytes) -> dict[str, str] | None:
    """What Ultralytics attached, its values as text."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = [name for name in archive.namelist() if name.endswith(METADATA_ENTRY)]
            entries = json.loads(archive.read(found[0])) if found else None
    except (zipfile.BadZipFile, ValueError):
        return None
    metadata = {key: str(value) for key, value in entries.items()} if isinstance(entries, dict) else {}
    return metadata if is_ultralytics(metadata) else None
