"""The three verbs in one process: the way from Python, and what a job does on every worker."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal, Self

from PIL.Image import Image as PillowImage
from PIL.Image import fromarray

from inference_core import storage
from inference_core.enhance.override import override_package
from inference_core.enhance_spec import DropoutSpec, TtaSpec
from inference_core.errors import ConfigError
from inference_core.execution_choice import (
    BatchSize,
    ExecutionChoice,
    PrecisionGuard,
    choose_execution,
    is_sample_needed,
)
from inference_core.explain.explainer import Explainer
from inference_core.explain.explanation import Explanation
from inference_core.finisher import Finisher
from inference_core.given_images import Input, default_id, prepare_source, prepare_sources
from inference_core.images import DecodePolicy, Limits, load_image
from inference_core.items import Prediction, PreparedItem
from inference_core.models.package import ModelPackage, load_package, trusted
from inference_core.pipeline import build_finisher, build_preparer, build_runner, check_runner
from inference_core.preparer import Preparer, decode_policy
from inference_core.quality_spec import QualitySpec, StatisticsSpec
from inference_core.runner import Runner
from inference_core.visualize.blend import ALPHA
from inference_core.visualize.draw import Kind, draw_change, draw_result
from inference_core.visualize.palette import Color, build_palette
from inference_core.visualize.picture_size import MAX_SIDE_PX

logger = logging.getLogger(__name__)


class Predictor:
    """Predicts images with one model.

    Args:
        preparer: the first verb.
        runner: the second, with the model loaded.
        finisher: the third.
        max_bytes: largest file that is read.
        choice: what was decided on a sample.
        package: that the verbs are of, for ``visualize`` and ``explain``.

    Example:
        ``Predictor.load("package").predict("photo.jpg").result``
    """

    def __init__(
        self,
        preparer: Preparer,
        runner: Runner,
        finisher: Finisher,
        *,
        max_bytes: int,
        choice: ExecutionChoice | None = None,
        package: ModelPackage | None = None,
    ) -> None:
        self._package = package
        self._explainer: Explainer | None = None
        self._preparer = preparer
        self._runner = runner
        self._finisher = finisher
        self._max_bytes = max_bytes
        self.choice = choice or ExecutionChoice()

    @classmethod
    def load(
        cls,
        model: str | Path | ModelPackage,
        *,
        device: str = "auto",
        precision: str = "auto",
        batch_size: BatchSize = None,
        num_threads: int = 0,
        engine: str = "default",
        compiles: bool = False,
        cuda_graphs: bool = False,
        precision_guard: PrecisionGuard = "fall_back",
        sample: Sequence[Input] = (),
        limits: Limits | None = None,
        trust_package_code: bool = False,
        tta: TtaSpec | None = None,
        dropout: DropoutSpec | None = None,
        statistics: StatisticsSpec | None = None,
        quality: QualitySpec | None = None,
    ) -> Self:
        """Load a package and check that it works.

        Args:
            model: folder or URI of a package, or the package.
            device: auto, cpu or cuda:N.
            precision: auto, fp32, fp16 or bf16.
            batch_size: images per forward; None chooses by device, ``auto`` times powers of two on ``sample``.
            num_threads: CPU threads of one forward; 0 leaves it to the library.
            engine: default (the format's own), torch, onnxruntime, tensorrt, openvino or litert; ``auto`` is the one
                that is fastest on ``sample`` and answers as the default does.
            compiles: engine torch: compile the module for each height and width that it meets.
            cuda_graphs: engine torch on CUDA: record forwards and replay them.
            precision_guard: what becomes of a precision lower than fp32 whose answers to ``sample`` differ from
                those of fp32: fall_back, warn or off.
            sample: images of the kind that will be predicted, a few dozen, for what is to be decided on them.
            limits: on bytes, pixels and frames of an image.
            trust_package_code: whether Python files that lie in the package itself may be run.
            tta: views in the place of those that the package declares, ``TtaSpec(views=("hflip",))``; the model digest
                of predictions is then another.
            dropout: likewise, samples with dropout.
            statistics: likewise, numbers beside each answer.
            quality: likewise, rules for a verdict on it.

        Raises:
            ConfigError: the package or a setting is wrong.
            ModelError: the model does not load or does not work.
        """
        package = model if isinstance(model, ModelPackage) else load_package(str(model))
        if trust_package_code:
            package = trusted(package)
        package = override_package(package, tta=tta, dropout=dropout, statistics=statistics, quality=quality)
        limits = limits or Limits()
        preparer = build_preparer(package, limits=limits)
        choice = ExecutionChoice()
        if is_sample_needed(
            package, device=device, engine=engine, precision=precision, guard=precision_guard, batch_size=batch_size
        ):
            check_sample(sample, engine=engine, precision=precision, batch_size=batch_size)
            choice = choose_execution(
                package,
                list(prepare_sources(preparer, sample, max_bytes=limits.max_bytes)),
                device=device,
                engine=engine,
                precision=precision,
                guard=precision_guard,
                batch_size=batch_size,
                num_threads=num_threads,
                compiles=compiles,
                cuda_graphs=cuda_graphs,
            )
        fixed = None if batch_size == "auto" else batch_size
        runner = build_runner(
            package,
            device=device,
            precision=choice.engine.precision if choice.engine else precision,
            batch_size=choice.batch.batch_size if choice.batch else fixed,
            size_of_shape=dict(choice.batch.size_of_shape) if choice.batch else None,
            num_threads=num_threads,
            engine=choice.engine.engine if choice.engine else engine,
            compiles=compiles,
            cuda_graphs=cuda_graphs,
        )
        check_runner(package, runner)
        return cls(
            preparer, runner, build_finisher(package), max_bytes=limits.max_bytes, choice=choice, package=package
        )

    def predict(self, image: Input, *, image_id: str = "") -> Prediction:
        """Predict one image.

        Args:
            image: bytes, path or URI, array (H, W[, 1, 3 or 4]) or Pillow image.
            image_id: key of the answer; by default the path, or ``0``.

        Returns:
            The prediction; a bad image has a status other than ``ok`` and an error, and raises nothing.
        """
        return self.predict_batch([image], image_ids=[image_id] if image_id else None)[0]

    def predict_batch(self, images: Sequence[Input], *, image_ids: Sequence[str] | None = None) -> list[Prediction]:
        """Predict several images, in order. Only one batch of them is held as pixels at a time.

        Args:
            images: as for ``predict``.
            image_ids: one key each; by default the paths, and positions for images without one.
        """
        ids = image_ids if image_ids is not None else [default_id(image, index) for index, image in enumerate(images)]
        sources = iter(zip(images, ids, strict=True))
        predictions: list[Prediction] = []
        while chunk := list(islice(sources, self._runner.batch_size)):
            items = [self._prepare(image, image_id) for image, image_id in chunk]
            predictions += [self._finisher.finish(raw) for raw in self._runner.infer(items)]
        return predictions

    def predict_directory(self, uri: str | Path) -> Iterator[Prediction]:
        """Predict every file below a folder or prefix, sorted by path, a batch at a time.

        Yields:
            One prediction for each file; files that are no images have a status other than ``ok``.

        Raises:
            ConfigError: there is no file.
        """
        objects = storage.list_objects(str(uri))
        is_empty = True
        while chunk := list(islice(objects, self._runner.batch_size)):
            is_empty = False
            yield from self.predict_batch([entry.uri for entry in chunk], image_ids=[entry.path for entry in chunk])
        if is_empty:
            raise ConfigError(f"directory must be a folder or prefix that holds files, got {uri}; check the path")

    def visualize(
        self,
        image: Input,
        prediction: Prediction | None = None,
        *,
        kind: Kind | Literal["auto", "before_after"] = "auto",
        alpha: float = ALPHA,
        palette: Sequence[str | Color] = (),
        has_legend: bool = True,
        max_side_px: int = MAX_SIDE_PX,
    ) -> PillowImage:
        """Draw what was found in an image.

        Args:
            image: as for ``predict``.
            prediction: of it; None predicts it now.
            kind: of ``inference_core.visualize.draw.KINDS``; ``auto`` is the usual one of the task, ``before_after``
                shows masks without and with the package's post-processing, for which the image is predicted again.
            alpha: share of a class's colour in a pixel, in [0, 1].
            palette: a colour for each class in the place of the default ones.
            has_legend: whether classes and scales are explained beside the picture.
            max_side_px: a larger image is drawn on a smaller copy.

        Returns:
            The picture; ``.save("name.png")`` writes it.

        Raises:
            ConfigError: there is nothing to draw: the kind does not fit the task, colours are too few, or the
                prediction has no result.
            InputError: the image cannot be read.
            ShapeError: the prediction is of an image of another size.
        """
        pixels = load_image(image, policy=self._policy(prediction), limits=Limits(max_bytes=self._max_bytes)).pixels
        found = prediction or self.predict(image)
        if found.result is None:
            raise ConfigError(f"must have a result to be drawn, got {found.status}: {found.error}", key="prediction")
        colors = build_palette(palette, num_classes=self._num_classes())
        if kind == "before_after":
            raw = self._predict_raw(image).result
            assert raw is not None, "what is drawn has an answer without steps"
            return fromarray(
                draw_change(pixels, raw, found.result, alpha=alpha, palette=colors, max_side_px=max_side_px)
            )
        return fromarray(
            draw_result(
                pixels,
                found.result,
                kind=kind,
                alpha=alpha,
                palette=colors,
                has_legend=has_legend,
                max_side_px=max_side_px,
            )
        )

    def explain(
        self,
        image: Input,
        *,
        method: str = "auto",
        class_name: str = "",
        layer: str = "",
        object_index: int | None = None,
        image_id: str = "",
    ) -> Explanation:
        """Where in an image the evidence for its answer lies.

        Args:
            image: as for ``predict``.
            method: gradcam, saliency, integrated_gradients or occlusion; ``auto`` is Grad-CAM where torch runs the
                package's format, else occlusion, which any engine can tell.
            class_name: which class; "" for the best one.
            layer: of Grad-CAM; "" for the one that is found.
            object_index: of a detection, which object of the answer; None for the best one of the class.
            image_id: key of the answer; by default the path, or ``0``.

        Raises:
            ConfigError: the method, the class or the layer does not go with the model.
            InputError: the image cannot be used, or the answer to it does not hold the class or the object.

        Cost: the first gradient loads the model once more, in fp32; occlusion takes some 170 forwards.
        """
        if self._explainer is None:
            assert self._package is not None, "a predictor that was loaded has its package"
            runner = self._runner
            self._explainer = Explainer(self._package, device=runner.engine_facts.device, runs=runner.engine)
        explainer = self._explainer
        explainer.check(method=method, class_name=class_name, layer=layer)
        item = self._prepare(image, image_id or default_id(image, 0))
        return explainer.explain_item(
            item, method=method, class_name=class_name, layer=layer, object_index=object_index
        )

    def _policy(self, prediction: Prediction | None) -> DecodePolicy:
        """How the package reads images, and the page that was predicted."""
        policy = decode_policy(self._package.spec.input.decode) if self._package else DecodePolicy()
        return policy if prediction is None else replace(policy, page=prediction.source.page)

    def _num_classes(self) -> int:
        return len(self._package.spec.classes) if self._package else 1

    def _predict_raw(self, image: Input) -> Prediction:
        """The prediction without the steps of the package.

        Raises:
            ConfigError: there are none.
        """
        if self._package is None or not self._package.spec.postprocess:
            raise ConfigError("must be of a package with postprocess, got one without; choose another kind", key="kind")
        spec = self._package.spec.model_copy(update={"postprocess": ()})
        (raw,) = self._runner.infer([self._prepare(image, default_id(image, 0))])
        return build_finisher(replace(self._package, spec=spec)).finish(raw)

    def _prepare(self, image: Input, image_id: str) -> PreparedItem:
        return prepare_source(self._preparer, image, image_id=image_id, max_bytes=self._max_bytes)


def check_sample(sample: Sequence[Input], *, engine: str, precision: str, batch_size: BatchSize) -> None:
    """Say what cannot be done without a sample.

    Raises:
        ConfigError: engine or batch size cannot be chosen.
    """
    if sample:
        return
    for key, value in (("engine", engine), ("batch_size", batch_size)):
        if value == "auto":
            raise ConfigError("must be named where there is no sample, got auto; name it, or give a sample", key=key)
    logger.warning(
        "precision %s is not compared with fp32: give a sample of images, or set precision_guard to off", precision
    )
