"""What a package says of several forwards for one answer (views, dropout samples, members) and of what they tell."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from inference_core.validation import Frac, Frozen, NonNegativeFloat, NonNegativeInt, PositiveFloat
from inference_core.view_spec import check_views, parse_view

Merge = Literal["mean", "geometric", "max", "vote", "wbf", "nms", "concat"]
SCORE_MERGES: tuple[Merge, ...] = ("mean", "geometric", "max", "vote")
BOX_MERGES: tuple[Merge, ...] = ("wbf", "nms")
Measure = Literal["entropy", "mutual_information", "std"]


class MergeSpec(Frozen):
    """How the answers of several forwards become one."""

    merge: Merge | None = None
    """Of scores ``mean``, ``geometric``, ``max`` or ``vote`` (by default ``mean``), after the activation; of boxes
    ``wbf`` (weighted boxes fusion, by default of an ensemble) or ``nms`` (all compete once, by default of views); of
    embeddings ``mean`` of views, ``concat`` of an ensemble."""
    iou_threshold: Frac = 0.55
    """``wbf``: boxes of one class that overlap by more are one object."""


class TtaSpec(MergeSpec):
    """Test-time augmentation: the image is seen in several views."""

    views: Annotated[tuple[str, ...], Field(min_length=1)]
    """``hflip``, ``vflip``, ``rot90``, ``rot180``, ``rot270``, ``scale:1.25``, and products such as ``hflip*rot90``;
    the image as it is (``identity``) is always the first, named or not."""

    @field_validator("views")
    @classmethod
    def _check_views(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return check_views(value)


class DropoutSpec(Frozen):
    """Monte Carlo dropout: the model is run several times with units left out."""

    samples: Annotated[int, Field(ge=2, le=1000)]
    """Forwards for each view. Each leaves out the same units for every image."""
    seed: NonNegativeInt = 0
    """Of the choice of units."""


class UncertaintySpec(Frozen):
    """Segmentation: an uncertainty for every pixel."""

    measure: Measure = "entropy"
    """``entropy`` of the mean scores over its maximum; ``mutual_information``, the part of it on which the forwards
    disagree; ``std``, the standard deviation over the forwards of the score of the chosen class."""
    threshold: Frac = 0.5
    """From which on a pixel counts as uncertain."""


class ConformalSpec(Frozen):
    """Classification: sets of classes that hold the true one with a stated probability."""

    method: Literal["lac", "aps"] = "lac"
    """``lac``: every class whose score is at least 1 - quantile, which may be none. ``aps``: the best classes until
    their scores sum to the quantile."""
    quantile: NonNegativeFloat
    """Of the nonconformity scores of labelled images; ``millrace evaluate`` fits it."""
    coverage: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Share of images whose set shall hold the true class; what the quantile was fitted for."""


class MemberSpec(Frozen):
    """One model of an ensemble."""

    package: Annotated[str, Field(min_length=1)]
    """Folder or URI of its package, relative to this one. It counts in the digest by its own digest, and by the
    folder's name where rows tell what the member changed."""
    weight: PositiveFloat = 1.0
    """Of its answers, relative to the others'."""


class EnsembleSpec(MergeSpec):
    """Several models whose answers become one."""

    members: Annotated[tuple[MemberSpec, ...], Field(min_length=2)]
    """At least two packages of the same task and classes."""

    @property
    def member_names(self) -> tuple[str, ...]:
        """What rows call the members: each by its folder, doubles by their number."""
        names = [member.package.rstrip("/").rpartition("/")[2] or member.package for member in self.members]
        return tuple(name if names.count(name) == 1 else f"{name} {index}" for index, name in enumerate(names, start=1))


def merges_of(task: str, *, is_ensemble: bool) -> tuple[Merge, ...]:
    """What a task's forwards can be merged by. Features of different models have no axis in common."""
    if task == "embedding":
        return ("concat",) if is_ensemble else ("mean",)
    return BOX_MERGES if task == "detection" else SCORE_MERGES


def check_merge(name: str, spec: MergeSpec | None, *, task: str) -> None:
    """Raise ValueError where a merge is not one of the task's."""
    if spec is None:
        return
    known = merges_of(task, is_ensemble=name == "ensemble")
    if spec.merge is not None and spec.merge not in known:
        raise ValueError(f"{name}.merge must be {', '.join(known)} with task {task}, got {spec.merge}; correct it")
    is_default = spec.iou_threshold == MergeSpec.model_fields["iou_threshold"].default
    is_fused = spec.merge == "wbf" or (spec.merge is None and name == "ensemble")
    if not is_default and not (task == "detection" and is_fused):
        raise ValueError(f"{name}.iou_threshold must go with merge wbf; remove it")


def check_views_fit(tta: TtaSpec, *, is_free: bool, is_square: bool, size_hw: tuple[int, int] | None) -> None:
    """Raise ValueError where a view would give the model another size than it takes.

    Args:
        tta: names the views.
        is_free: whether the input has the size of each image.
        is_square: whether a fixed input is square.
        size_hw: of a fixed input.
    """
    for name in tta.views:
        view = parse_view(name)
        if view.scale != 1 and not is_free:
            raise ValueError(
                f"tta.views must have no scales with an input of fixed size, got {name}; take fit native, or remove it"
            )
        if view.swaps_sides and not is_square:
            raise ValueError(
                f"tta.views must have no quarter turns (rot90, rot270) with an input that is not square, got {name} "
                f"with size_hw {list(size_hw or ())}; use rot180, hflip and vflip, or a square size_hw"
            )


def read_tta(value: Any) -> Any:
    """``[hflip, rot90]`` as ``{views: [hflip, rot90]}``; anything else as it is."""
    return {"views": value} if isinstance(value, list | tuple) else value


ShortTta = BeforeValidator(read_tta)
"""Of a field that takes the short form, too."""
