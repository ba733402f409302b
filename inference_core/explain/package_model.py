"""The model of a package for explanations: its engine, its module and its members, loaded when first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_core.engines.protocol import Engine
from inference_core.enhance.build import build_package_engine, member_engine
from inference_core.explain.asked_model import AskedModel
from inference_core.explain.ensemble_answer import EnsembleAnswer
from inference_core.explain.explanation import Method
from inference_core.explain.found import Found, Wish
from inference_core.explain.no_layer import NoLayerError
from inference_core.explain.targets import Aim
from inference_core.items import PreparedItem
from inference_core.models.package import ModelPackage
from inference_core.records import Prepared

if TYPE_CHECKING:
    from inference_core.explain.seen_model import SeenModel


class PackageModel:
    """Answers and explains by one package.

    Args:
        package: as read.
        device: a torch device name.
        engine_name: what runs the model for occlusion; default is the format's own.
        num_threads: CPU threads of one forward; 0 leaves it to the library.
        runs: an engine of the package that is there already.
    """

    def __init__(
        self, package: ModelPackage, *, device: str, engine_name: str, num_threads: int, runs: Engine | None
    ) -> None:
        self.package = package
        self._device = device
        self._engine_name = engine_name
        self._num_threads = num_threads
        self._engine = runs
        self._asked: AskedModel | None = None
        self._seen: SeenModel | None = None
        self._answer: EnsembleAnswer | None = None
        self._members: tuple[PackageModel, ...] = ()

    def choose(self, item: PreparedItem, wish: Wish) -> Aim:
        """What is meant in the answer of all views, samples and members.

        Raises:
            InputError: the model refuses the image, or its answer does not hold what is wished for.
        """
        if not self.package.has_unlike_inputs:
            assert item.prepared is not None, "only usable items are explained"
            return self._asked_model().choose(item.prepared, wish)
        if self._answer is None:
            self._answer = EnsembleAnswer(self.package, self.engine)
        return self._answer.choose(item, wish)

    def explain(self, prepared: Prepared, method: Method, wish: Wish, *, may_ask: bool) -> Found:
        """What a method finds; gradients are of one plain forward.

        Args:
            prepared: the image, as the package takes it.
            method: that is used.
            wish: what is meant.
            may_ask: whether occlusion is taken in the place of Grad-CAM where the model has no layer for it.

        Raises:
            ConfigError: the method, or the layer, does not go with the model.
            InputError: as for ``choose``.
        """
        if method == "occlusion":
            return self._asked_model().explain(prepared, wish)
        try:
            return self._seen_model().explain(prepared, method, wish)
        except NoLayerError:
            if not may_ask:  # asked anew for each image: what comes before it must not matter
                raise
            return self._asked_model().explain(prepared, wish)

    @property
    def members(self) -> tuple[PackageModel, ...]:
        """Of an ensemble, each by itself; they run on the ensemble's engines where these are there."""
        if not self._members:
            engine = self._engine
            self._members = tuple(
                PackageModel(
                    member,
                    device=self._device,
                    engine_name="default",
                    num_threads=self._num_threads,
                    runs=None if engine is None else member_engine(engine, member, index=index),
                )
                for index, member in enumerate(self.package.members)
            )
        return self._members

    @property
    def engine(self) -> Engine:
        """What runs all views, samples and members, in fp32 where it is built here."""
        if self._engine is None:
            self._engine = build_package_engine(
                self.package,
                device=self._device,
                precision="fp32",
                num_threads=self._num_threads,
                engine=self._engine_name,
            )
        return self._engine

    def _asked_model(self) -> AskedModel:
        if self._asked is None:
            self._asked = AskedModel(self.package, self.engine)
        return self._asked

    def _seen_model(self) -> SeenModel:
        """The model as a module; torch is loaded here."""
        if self._seen is None:
            import torch

            from inference_core.explain.seen_model import SeenModel

            if self._num_threads:
                torch.set_num_threads(self._num_threads)
            self._seen = SeenModel(self.package, device=self._device)
        return self._seen
