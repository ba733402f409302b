"""Explains answers of one model: the door to all methods."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from inference_core.engines.build import resolve_place
from inference_core.engines.protocol import Engine
from inference_core.enhance.build import build_package_engine
from inference_core.errors import (
    ConfigError,
    DecodeError,
    FetchError,
    InferError,
    InputError,
    OutOfMemoryError,
    TooLargeError,
    UnsupportedError,
)
from inference_core.explain.asked_model import AskedModel
from inference_core.explain.choose_aim import check_class
from inference_core.explain.explanation import GRADIENT_METHODS, Explanation, Method, read_method
from inference_core.explain.found import Found, Wish
from inference_core.explain.picture import draw_explanation
from inference_core.explain.to_image import to_image
from inference_core.images import Limits, load_image
from inference_core.images.load import ImageSource
from inference_core.items import PreparedItem
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_preparer
from inference_core.preparer import PrepareSource, decode_policy
from inference_core.records import Placement, Prepared, Uint8Array
from inference_core.spec import LAYERED_FORMATS

if TYPE_CHECKING:
    from inference_core.explain.seen_model import SeenModel

MAX_TILES = 64
"""Of one image. Each is explained by itself, which takes up to some 170 forwards."""
INPUT_ERRORS: Mapping[str, type[InputError]] = {
    cls.status: cls for cls in (FetchError, DecodeError, TooLargeError, UnsupportedError, InferError, OutOfMemoryError)
}


class Explainer:
    """Explains what one model says of images. One explanation at a time; safe to share between threads.

    Args:
        package: of the model.
        device: auto, cpu or cuda:N.
        engine: what runs the model for occlusion; default is the format's own.
        num_threads: CPU threads of one forward; 0 leaves it to the library.
        limits: on bytes, pixels and frames of an image.
        runs: an engine of the package that is there already, for occlusion.

    Raises:
        ConfigError: the task has no classes to explain, or the device cannot be had.
    """

    def __init__(
        self,
        package: ModelPackage,
        *,
        device: str = "auto",
        engine: str = "default",
        num_threads: int = 0,
        limits: Limits | None = None,
        runs: Engine | None = None,
    ) -> None:
        check_task(package)
        self._package = package
        self._device = resolve_place(package, device=device, engine=engine)
        self._engine_name = engine
        self._num_threads = num_threads
        self._limits = limits or Limits()
        self._preparer = build_preparer(package, limits=self._limits)
        self._asked = None if runs is None else AskedModel(package, runs)
        self._seen: SeenModel | None = None
        self._lock = threading.Lock()

    def check(self, *, method: str = "auto", class_name: str = "", layer: str = "") -> Method:
        """The method that is meant, Grad-CAM or, where the format has no layers, occlusion; nothing is loaded.

        Raises:
            ConfigError: the method or the class is unknown, the package does not allow the method, or a layer is named
                with another method than Grad-CAM.
        """
        spec = self._package.spec
        if class_name:
            check_class(class_name, classes=spec.classes)
        chosen = read_method(method) or ("gradcam" if spec.format in LAYERED_FORMATS else "occlusion")
        if chosen in GRADIENT_METHODS:
            check_format(self._package, method=chosen)
        if layer and chosen != "gradcam":
            raise ConfigError(f"must go with method gradcam, got {chosen}; remove it", key="layer")
        return chosen

    def explain(
        self,
        image: PrepareSource,
        *,
        method: str = "auto",
        class_name: str = "",
        layer: str = "",
        object_index: int | None = None,
        image_id: str = "",
        uri: str = "",
    ) -> Explanation:
        """Explain the answer to one image.

        Args:
            image: bytes, array, Pillow image, or the error of its fetching.
            method: gradcam, saliency, integrated_gradients or occlusion; ``auto`` is Grad-CAM where the format has
                layers, else occlusion.
            class_name: which class; "" for the best one.
            layer: of Grad-CAM; "" for the one that is found.
            object_index: of a detection, which object of the answer; None for the best one of the class.
            image_id: key of the image.
            uri: where it came from.

        Raises:
            ConfigError: the method, the class or the layer does not go with the model.
            InputError: the image cannot be used, or the answer to it does not hold the class or the object.
            ModelError: the model does not load.

        Cost: the first gradient loads the model once more, in fp32.
        """
        self.check(method=method, class_name=class_name, layer=layer)
        item = self._preparer.prepare(image, image_id=image_id, uri=uri)
        return self.explain_item(item, method=method, class_name=class_name, layer=layer, object_index=object_index)

    def explain_item(
        self,
        item: PreparedItem,
        *,
        method: str = "auto",
        class_name: str = "",
        layer: str = "",
        object_index: int | None = None,
    ) -> Explanation:
        """The same of an image that is prepared; see ``explain``."""
        chosen = self.check(method=method, class_name=class_name, layer=layer)
        if object_index is not None and self._package.spec.task != "detection":
            raise ConfigError(f"must go with task detection, got {self._package.spec.task}; remove it", key="object")
        prepared = usable(item)
        class_id = check_class(class_name, classes=self._package.spec.classes) if class_name else None
        wish = Wish(class_id=class_id, object_index=object_index, layer=layer)
        with self._lock:
            found = self._find(prepared, chosen, wish)
        return self._tell(item, prepared, found)

    def draw(self, image: ImageSource, explanation: Explanation, *, has_bar: bool = True) -> Uint8Array:
        """An explanation as a picture over its image.

        Args:
            image: bytes, a path or URI, an array or a Pillow image.
            explanation: of it.
            has_bar: whether title and bar of colours stand there.

        Returns:
            (H, W, 3) uint8; a smaller copy of a large image.

        Raises:
            InputError: the image cannot be read.
            ShapeError: the explanation is of an image of another size.
        """
        policy = replace(decode_policy(self._package.spec.input.decode), page=explanation.source.page)
        pixels = load_image(image, policy=policy, limits=self._limits).pixels
        return draw_explanation(pixels, explanation, has_bar=has_bar)

    def _find(self, prepared: Prepared, method: Method, wish: Wish) -> Found:
        if method == "occlusion":
            return self._asked_model().explain(prepared, wish)
        return self._seen_model().explain(prepared, method, wish)

    def _asked_model(self) -> AskedModel:
        """The model behind its engine, loaded when it is first needed."""
        if self._asked is None:
            engine = build_package_engine(
                self._package,
                device=self._device,
                precision="fp32",
                num_threads=self._num_threads,
                engine=self._engine_name,
            )
            self._asked = AskedModel(self._package, engine)
        return self._asked

    def _seen_model(self) -> SeenModel:
        """The model as a module, likewise; torch is loaded here."""
        if self._seen is None:
            import torch

            from inference_core.explain.seen_model import SeenModel

            if self._num_threads:
                torch.set_num_threads(self._num_threads)
            self._seen = SeenModel(self._package, device=self._device)
        return self._seen

    def _tell(self, item: PreparedItem, prepared: Prepared, found: Found) -> Explanation:
        return Explanation(
            source=item.source,
            heatmap=to_image(found.heatmaps, prepared.placement),
            method=found.method,
            layer=found.layer,
            class_id=found.aim.class_id,
            label=found.aim.label,
            score=found.aim.score,
            box_xyxy=found.aim.box_xyxy,
            value=found.value,
            baseline=found.baseline,
            baseline_value=found.baseline_value,
            total=found.total,
            convergence_delta=found.convergence_delta,
            window_px=window_in_image(found, prepared.placement),
            engine=found.engine,
            model_digest=self._package.digest,
        )


def window_in_image(found: Found, placement: Placement) -> tuple[float, float] | None:
    """Height and width of what occlusion covers, in the image's pixels."""
    if found.window_hw is None:
        return None
    height, width = (
        window * image / scaled
        for window, image, scaled in zip(found.window_hw, placement.image_hw, placement.scaled_hw, strict=True)
    )
    return height, width


def check_task(package: ModelPackage) -> None:
    """Raise ConfigError for a task without classes."""
    if package.spec.task == "embedding":
        raise ConfigError(
            "must be classification, multilabel, segmentation or detection to be explained, got embedding, which "
            "names no class; explain a model that does",
            key="task",
        )


def check_format(package: ModelPackage, *, method: Method) -> None:
    """Raise ConfigError for a method whose gradients a package's format does not give."""
    spec = package.spec
    if spec.format in LAYERED_FORMATS:
        return
    remedy = "take occlusion, or a package of format state_dict"
    if spec.format == "ensemble":
        remedy = "take occlusion, or explain one of its members"
    raise ConfigError(
        f"{method} needs a model whose layers and gradients are to be had (format {', '.join(LAYERED_FORMATS)}), got "
        f"format {spec.format}; {remedy}",
        key="method",
    )


def usable(item: PreparedItem) -> Prepared:
    """What was prepared of an image.

    Raises:
        InputError: nothing, by the item's status; or it became too many tiles.
    """
    if item.prepared is None:
        raise INPUT_ERRORS.get(item.status, InferError)(item.error, uri=item.source.uri)
    num_tiles = item.prepared.placement.num_tiles
    if num_tiles > MAX_TILES:
        raise TooLargeError(
            f"tiles of an image that is explained must be at most {MAX_TILES}, got {num_tiles}; explain a part of it"
        )
    return item.prepared
