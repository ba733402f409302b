"""The answer of an ensemble whose members are shown the image differently, as far as an explanation tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from inference_core.engines.protocol import Engine
from inference_core.enhance.forwards import Seen
from inference_core.enhance.member_answer import SCORES
from inference_core.enhance.member_join import build_answer
from inference_core.errors import UnsupportedError
from inference_core.explain.choose_aim import choose_named, not_in_mask, score_of_class
from inference_core.explain.found import Wish
from inference_core.explain.reading import Reading
from inference_core.explain.targets import Aim
from inference_core.explain.usable_item import error_of
from inference_core.items import PreparedItem, RawPart
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_finisher, default_batch_size
from inference_core.results import Segmentation
from inference_core.runner import Runner
from inference_core.tasks.build import build_task


class EnsembleAnswer:
    """Answers as the ensemble does.

    Args:
        package: of the ensemble.
        engine: of its members.
    """

    def __init__(self, package: ModelPackage, engine: Engine) -> None:
        self._package = package
        task = build_task(package.spec, code=package.code)
        self._runner = Runner(engine, task, batch_size=default_batch_size(engine.facts.device))
        self._finisher = build_finisher(package)
        self._reading = Reading(package, is_merged=True)

    def choose(self, item: PreparedItem, wish: Wish) -> Aim:
        """What is meant in the answer, without targets.

        Raises:
            InputError: a member refuses the image, or the answer does not hold what is wished for.
        """
        (raw,) = self._runner.infer([item])
        if raw.raw is None:
            raise error_of(raw)
        prediction = self._finisher.finish(raw)
        result = prediction.result
        if result is None:  # a step of the user's refused it
            raise UnsupportedError(prediction.error, uri=item.source.uri)
        spec = self._package.spec
        named = choose_named(result, spec=spec, wish=wish)
        if isinstance(result, Segmentation) and not result.class_pixels[named.class_id]:
            raise not_in_mask(result, name=named.label)
        if spec.task not in ("classification", "multilabel"):
            return named
        return replace(named, score=self._score(raw.parts, class_id=named.class_id))

    def _score(self, parts: Sequence[RawPart], *, class_id: int) -> float:
        """The merged score of any class of the whole image."""
        spec = self._package.spec
        assert spec.ensemble is not None, "only ensembles have members"
        forwards = [
            Seen(step=step, weight=member.weight, answer=np.asarray(part.raw[SCORES]))
            for step, (member, part) in enumerate(zip(spec.ensemble.members, parts, strict=True))
        ]
        outputs = self._reading.read(build_answer(spec).merge(forwards))
        return score_of_class(outputs, spec=self._reading.spec, class_id=class_id)
