"""What a job says of what is made when its rows are there: pictures, explanations, tables of videos, costs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from inference_core.validation import Frac, Frozen, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from inference_core.video.smooth import Smoothing

MAX_EXPLAINED = 500
"""Images of a run: explanations are for people, and one process makes them."""


class PricesConfig(Frozen):
    """What the machine costs, for ``millrace plan`` and the report; nothing is assumed of what is not given."""

    cpu_core_hour: NonNegativeFloat | None = None
    """Of one CPU core for one hour, in any currency."""
    gpu_hour: NonNegativeFloat | None = None
    """Of one GPU for one hour."""


class VisualsConfig(Frozen):
    """Which images of a finished run are drawn, into ``visuals/`` of the output. The policies take turns until ``max``;
    ``millrace finalize`` draws anew, also with other policies.
    """

    worst: NonNegativeInt = 0
    """So many with the lowest scores."""
    random: NonNegativeInt = 0
    """So many by chance of those that have an answer; the same ones whenever ``seed`` is the same."""
    per_class: NonNegativeInt = 0
    """So many by chance of each class that is found; of masks, of each class but the background."""
    per_error: NonNegativeInt = 0
    """So many by chance of each kind of failure; they are drawn where they can be decoded."""
    review: NonNegativeInt = 0
    """So many of the review queue, from its beginning."""
    max: NonNegativeInt = 500
    """Most images that are drawn, whatever the policies say."""
    all: bool = False
    """Draw every image besides, into ``visuals/all/``, by the driver alone: of a million images that takes hours."""
    seed: int = 0
    """Another number is another sample."""
    picture_px: PositiveInt = 800
    """Longest side of a picture, without what stands beside it."""
    thumbnail_px: PositiveInt = 256
    """Longest side of a thumbnail."""
    alpha: Frac = 0.5
    """Share of a class's colour in a pixel."""
    palette: tuple[str, ...] = ()
    """A colour for each class, as ``#rrggbb`` or a name of CSS; by default colours that the colour-blind tell apart."""

    @property
    def is_wanted(self) -> bool:
        """Whether anything is drawn."""
        policies = self.worst + self.random + self.per_class + self.per_error + self.review
        return self.all or (policies > 0 and self.max > 0)


class ExplainConfig(Frozen):
    """Whose answers are explained when the run is done, as pictures in ``explanations/`` of the output; see
    docs/explain.md. ``off`` or ``review`` for short.
    """

    images: Literal["off", "review"] = "off"
    """``review``: those of the review queue, from its beginning."""
    method: Literal["auto", "gradcam", "saliency", "integrated_gradients", "occlusion"] = "auto"
    """``auto``: Grad-CAM where torch runs the model's format, else occlusion."""
    layer: str = ""
    """Of Grad-CAM: the layer's, or the operation's, name; by default it is found."""
    max_images: Annotated[int, Field(ge=1, le=MAX_EXPLAINED)] = 20
    """Most images, one after the other in the process of the command: each takes from some hundredths of a second
    (Grad-CAM) to that of 170 forwards (occlusion)."""

    @property
    def is_wanted(self) -> bool:
        """Whether anything is explained."""
        return self.images != "off"

    @field_validator("images", mode="before")
    @classmethod
    def _read_off(cls, value: Any) -> Any:
        return "off" if value is False else value  # as YAML reads an unquoted off


class VideosConfig(Frozen):
    """How the frames of a video are summed up, in ``report/videos.csv`` and ``report/video_events.csv``, where the
    input are videos. Rows stay as they are; ``millrace finalize`` sums up anew.
    """

    smooth: Smoothing = "none"
    """Of scores over time: ``exponential``, where what was seen ``window_s`` ago counts half, or the ``median`` of the
    last ``window_s``."""
    window_s: PositiveFloat = 0.5
    """Half-life, or length, of the smoothing in seconds."""
    event_threshold: Frac | None = None
    """From this score on, of masks from this share of the pixels on, a class shows in a frame. By default 0.5, for
    boxes 0.25, for masks 0.01."""
    min_event_s: NonNegativeFloat = 0.0
    """Events that are shorter are left out."""
