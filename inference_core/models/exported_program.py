"""Read what ``torch.export.save`` wrote."""

from __future__ import annotations

import io
import zipfile

import torch
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass

from inference_core.errors import ModelError
from inference_core.input_spec import InputSpec
from inference_core.models.checkpoint import BROKEN_FILE
from inference_core.models.graph_shape import check_input_shape
from inference_core.models.weights import Weights

FORMAT_ENTRY = "archive_format"
"""File of the archive that tells it from other archives of torch."""


def load_program(weights: Weights, *, device: str = "cpu") -> ExportedProgram:
    """Open a ``.pt2`` archive.

    Args:
        weights: the archive.
        device: where the program will run, whatever device it was captured on.

    Raises:
        ModelError: the bytes are no such archive.
    """
    reason = "no archive of torch.export"
    if is_program(weights.data):  # asked first, because torch logs a traceback for every other file
        try:
            return move_to_device_pass(torch.export.load(io.BytesIO(weights.data)), device)
        except (*BROKEN_FILE, zipfile.BadZipFile) as exc:
            reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
    raise ModelError(
        f"weights must be a file of torch.export.save, got {weights.name} ({reason}); save it again, or "
        "name another format"
    )


def is_program(data: bytes) -> bool:
    """Whether the bytes are an archive of ``torch.export.save``."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(name.rpartition("/")[2] == FORMAT_ENTRY for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def check_program(program: ExportedProgram, spec: InputSpec) -> int | None:
    """The batch size that the program fixes, None where it is free.

    Raises:
        ModelError: it takes something else than one image batch of the spec's shape.
    """
    names = program.graph_signature.user_inputs
    if len(names) != 1:
        raise ModelError(
            f"the program must have one input, got {len(names)} ({', '.join(map(str, names))}); export it with the "
            "image alone"
        )
    (value,) = [node.meta["val"] for node in program.graph.nodes if node.name == names[0]]
    shape = [size if isinstance(size, int) else None for size in value.shape]
    check_input_shape(shape, spec=spec)
    return shape[0]
