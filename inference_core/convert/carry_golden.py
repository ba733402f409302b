"""Golden images of a package in the one that was made of it, so that its verify proves it against the original."""

from __future__ import annotations

from dataclasses import replace

from inference_core import storage
from inference_core.golden.read import read_golden
from inference_core.golden.record import identity_of
from inference_core.golden.seal import golden_uri, write_golden
from inference_core.models.package import ModelPackage


def carry_golden(original: ModelPackage, written: ModelPackage) -> None:
    """Seal a package with the images and the values of another; nothing where that is not sealed as it is.

    Args:
        original: as read.
        written: prepares images as the original does, and answers as it does.

    Raises:
        ModelError: the original's golden images are damaged.
    """
    golden = read_golden(original)
    if golden is None or golden.record.model_digest != original.digest:
        return
    record = golden.record.model_copy(update={"model_digest": written.digest, "identity": identity_of(written)})
    values = storage.read_bytes(storage.join(golden_uri(original), record.arrays_file))
    write_golden(golden_uri(written), replace(golden, record=record), arrays_data=values)
