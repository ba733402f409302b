"""What stands in ``golden/golden.json``: the images, what became of them when they were sealed, and how far others may
be off.

Beside it lie the images themselves, byte for byte, and one ``.npz`` file with the values. None of it is part of the
model digest; the record says for which digest it was sealed.
"""

from __future__ import annotations

from typing import Any

from inference_core.engines.protocol import Precision
from inference_core.hooks.named import code_digests
from inference_core.models.package import NOT_IN_DIGEST, ModelPackage
from inference_core.records import Placement
from inference_core.validation import Frac, Frozen, NonNegativeFloat, PositiveInt, plain_facts

GOLDEN_FOLDER = "golden"
GOLDEN_FILE = "golden.json"
GOLDEN_SCHEMA = 1


class Tolerance(Frozen):
    """How far a replay may be off. The defaults are written into the file, where they may be edited."""

    prepared_frac: Frac = 0.0
    """Share of prepared values that may differ: none, since preparing is integer arithmetic of named libraries."""
    outputs_abs: NonNegativeFloat = 1e-5
    """A raw output may be off by this and ``outputs_rel`` times the output's largest magnitude: of a replay in the
    precision that was sealed."""
    outputs_rel: NonNegativeFloat = 1e-4
    """Engines were measured to differ by up to 1.3e-5 of the largest magnitude, on six models of all tasks; a ``scale``
    that is wrong by 0.4 % moves the same outputs by 2e-3 and more."""
    answers_frac: Frac = 1e-3
    """Share of the decisions (labels, pixels of masks, objects) that may differ: pixels whose two best classes are
    equal but for rounding."""
    low_answers_frac: Frac = 0.01
    """The same where raw outputs are not judged: in any other precision than the sealed one, and of quantised graphs on
    other engines. That of the precision guard."""


class SealedOutput(Frozen):
    """One raw output of the model for all tiles of an image."""

    name: str
    """As the engine that sealed calls it; others may call it otherwise."""
    dtype: str
    num_values: int
    """Of all tiles together, in their order."""
    step: PositiveInt
    """Every so many values one is kept, from the first; 1 keeps all."""
    largest: float
    """Largest magnitude of any value."""


class SealedImage(Frozen):
    """One image and what became of it."""

    file: str
    """Path below ``golden/``."""
    sha256: str
    """Of the encoded bytes."""
    tiles_shape: tuple[int, int, int, int]
    """(T, h, w, C)."""
    tiles_sha256: str
    """Of all prepared values."""
    tiles_step: PositiveInt
    """Likewise of the prepared values."""
    placement: Placement
    outputs: tuple[SealedOutput, ...]
    answer: dict[str, Any]
    """The task's columns of the result row."""


class GoldenRecord(Frozen):
    """``golden.json``."""

    schema_version: int
    model_digest: str
    """Of the package as it was sealed."""
    identity: dict[str, Any]
    """What that digest was made of, to tell what was changed since; see ``identity_of``."""
    engine: str
    """What ran the model, on the CPU."""
    precision: Precision
    """Of the values that were sealed."""
    versions: dict[str, str]
    """Software by name."""
    tolerance: Tolerance
    arrays_file: str
    """Path of the values below ``golden/``."""
    arrays_sha256: str
    images: tuple[SealedImage, ...]


def identity_of(package: ModelPackage) -> dict[str, Any]:
    """What a package says that is not a default, and the SHA-256 of its weights and of the code that it names."""
    facts = {key: value for key, value in plain_facts(package.spec).items() if key not in NOT_IN_DIGEST}
    code = code_digests(package.spec, package.code)
    if package.members:
        facts["members"] = [member.digest for member in package.members]
    return {**facts, "weights": package.weights.sha256, **({"code": code} if code else {})}
