"""Explains answers of one model: the door to all methods."""

from __future__ import annotations

import threading
from dataclasses import replace

from inference_core.engines.build import resolve_place
from inference_core.engines.protocol import Engine
from inference_core.errors import ConfigError
from inference_core.explain.allowed import check_gradients, check_task, default_method
from inference_core.explain.choose_aim import check_class
from inference_core.explain.explanation import GRADIENT_METHODS, Explanation, Method, read_method
from inference_core.explain.found import Found, Wish
from inference_core.explain.merge_members import MemberPart, merge_explanations
from inference_core.explain.not_shown import NotShownError
from inference_core.explain.package_model import PackageModel
from inference_core.explain.picture import draw_explanation
from inference_core.explain.to_image import to_image
from inference_core.explain.usable_item import usable
from inference_core.images import Limits, load_image
from inference_core.images.load import ImageSource
from inference_core.items import PreparedItem
from inference_core.models.ensemble import input_blocks
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_preparer
from inference_core.preparer import PrepareSource, decode_policy
from inference_core.records import Placement, Prepared, Uint8Array


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
        self._model = PackageModel(
            package,
            device=resolve_place(package, device=device, engine=engine),
            engine_name=engine,
            num_threads=num_threads,
            runs=runs,
        )
        self._limits = limits or Limits()
        self._preparer = build_preparer(package, limits=self._limits)
        self._lock = threading.Lock()

    def check(self, *, method: str = "auto", class_name: str = "", layer: str = "") -> Method:
        """The method that is meant, Grad-CAM or, where torch does not run the format, occlusion; nothing is loaded.

        Raises:
            ConfigError: the method or the class is unknown, the package does not allow the method, or a layer is named
                with another method than Grad-CAM.
        """
        if class_name:
            check_class(class_name, classes=self._package.spec.classes)
        chosen = read_method(method) or default_method(self._package)
        check_gradients(self._package, method=chosen)
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
            method: gradcam, saliency, integrated_gradients or occlusion; ``auto`` is Grad-CAM where torch runs the
                format and the model has a layer for it, else occlusion, as of ensembles.
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
            if self._explains_whole_answer(chosen):
                found = self._model.explain(prepared, chosen, wish, may_ask=method == "auto")
                return self._tell(item, prepared, found)
            return self._explain_parts(item, prepared, chosen, wish, may_ask=method == "auto")

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

    def _explains_whole_answer(self, method: Method) -> bool:
        """Whether a method sees all forwards of the package at once, or there is only one."""
        if method in GRADIENT_METHODS:
            return not self._package.spec.has_several_forwards
        return not self._package.has_unlike_inputs

    def _explain_parts(
        self, item: PreparedItem, prepared: Prepared, method: Method, wish: Wish, *, may_ask: bool
    ) -> Explanation:
        """What the whole answer says, explained by plain forwards, or by members one by one."""
        aim = self._model.choose(item, wish)
        named = Wish(class_id=aim.class_id, box_xyxy=aim.box_xyxy, layer=wish.layer)
        if self._package.members:
            explanation = self._explain_members(item, method, named)
        else:
            found = self._model.explain(prepared, method, named, may_ask=may_ask)
            explanation = self._tell(item, prepared, found)
        return replace(
            explanation,
            class_id=aim.class_id,
            label=aim.label,
            score=aim.score,
            box_xyxy=aim.box_xyxy,
            model_digest=self._package.digest,
        )

    def _explain_members(self, item: PreparedItem, method: Method, wish: Wish) -> Explanation:
        """Each member on its own input, those that do not show what is meant left out.

        Raises:
            NotShownError: none does.
        """
        ensemble = self._package.spec.ensemble
        assert ensemble is not None, "only ensembles have members"
        weights = [member.weight for member in ensemble.members]
        parts = []
        reason = NotShownError("a member must show what is explained, got none that does")
        for member, weight, block in zip(
            self._model.members, weights, input_blocks(self._package.members), strict=True
        ):
            own = item.blocks[block]
            try:
                found = member.explain(own, method, wish, may_ask=False)
            except NotShownError as exc:
                reason = exc
                continue
            except ConfigError as exc:
                reason_text = str(exc).removeprefix(f"{exc.key}: ")
                raise ConfigError(f"{reason_text} (member {member.package.uri})", key=exc.key) from exc
            parts.append(MemberPart(weight=weight / sum(weights), explanation=self._tell(item, own, found)))
        if not parts:
            raise reason
        keeps_units = parts[0].explanation.is_signed and self._package.spec.task != "segmentation"
        return merge_explanations(parts, keeps_units=keeps_units)

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
