"""A package in, a smaller or faster one out: what it costs in answers is measured before anything is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from inference_core.errors import ModelError
from inference_core.items import PreparedItem
from inference_core.models.package import ModelPackage
from inference_core.models.write_package import check_is_free, write_package
from inference_core.optimise.accuracy import Scorer
from inference_core.optimise.measure import ORIGINAL, Bench, Row
from inference_core.optimise.recipe import Recipe, plan_steps
from inference_core.optimise.steps import Stage, run_steps
from inference_core.provenance import environment_versions

RECORD_FILE = "optimise.json"
"""What was done and what it cost, beside the new package's weights; no part of its digest."""
RECORD_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An optimised package, in memory, and what is known of it."""

    source: ModelPackage
    stages: tuple[Stage, ...]
    """One for each step, in order."""
    table: tuple[Row, ...]
    """The original and every stage on every engine that runs it here."""
    recipe: Recipe
    num_images: int
    """That were measured."""

    @property
    def package(self) -> ModelPackage:
        """The last stage's."""
        return self.stages[-1].package

    @property
    def final_rows(self) -> tuple[Row, ...]:
        """The last stage on every engine, its default first."""
        return tuple(row for row in self.table if row.step == self.stages[-1].step)


def optimise(
    package: ModelPackage,
    recipe: Recipe,
    *,
    items: Sequence[PreparedItem],
    calibration: Sequence[PreparedItem] = (),
    scorer: Scorer | None = None,
    out: str = "",
) -> Outcome:
    """Run the steps and measure each; writes nothing.

    Args:
        package: as read.
        recipe: what is asked for.
        items: prepared images to measure on, at least one, none failed.
        calibration: prepared images for static int8.
        scorer: how right answers are; None compares with the original alone.
        out: where the new package will go, refused before any work where it holds files; "" for nowhere.

    Raises:
        ConfigError: the recipe does not go with the package, or ``out`` is taken.
        ModelError: the model does not work, or a step does not take it.

    Cost: every stage is loaded on every engine, and runs the items several times on one thread.
    """
    plan_steps(recipe, weights_format=package.spec.format)
    if out:
        check_is_free(out)
    bench = Bench(items, scorer=scorer)
    bench.add(package, step=ORIGINAL)
    stages = []
    for stage in run_steps(package, recipe, calibration=calibration):
        bench.add(stage.package, step=stage.step)
        stages.append(stage)
    return Outcome(source=package, stages=tuple(stages), table=bench.rows(), recipe=recipe, num_images=len(items))


def write_outcome(outcome: Outcome, out: str, *, max_flips_frac: float) -> ModelPackage:
    """Write the new package, unless its answers are too far from the original's.

    Args:
        outcome: of ``optimise``.
        out: empty or new folder.
        max_flips_frac: largest share of answers that may differ on the package's own engine.

    Raises:
        ConfigError: the folder holds files.
        ModelError: the package does not run, or changes more answers; nothing was written.
    """
    check_outcome(outcome, max_flips_frac=max_flips_frac)
    record = json.dumps(build_record(outcome), indent=2, ensure_ascii=False).encode()
    code = outcome.package.code
    files = {**code, **outcome.package.weights.files, RECORD_FILE: record}
    return write_package(out, outcome.package.spec, files=files, trusts_code=code.is_trusted)


def check_outcome(outcome: Outcome, *, max_flips_frac: float) -> None:
    """Raise ModelError where the new package must not be used."""
    row = outcome.final_rows[0]
    if row.refusal:
        raise ModelError(f"the optimised package must run on {row.engine}, got: {row.refusal}; nothing was written")
    if not row.is_finite:
        raise ModelError(
            "the optimised package must answer every image that the original answers, got inf or nan; nothing was "
            "written: keep the layers in question in float (--keep-float NAME), or leave the last step away"
        )
    if row.flips_frac > max_flips_frac:
        raise ModelError(
            f"the optimised package must change at most {max_flips_frac:.1%} of the answers (--max-flips), got "
            f"{row.flips_frac:.1%} on {outcome.num_images} images; nothing was written: {remedies(outcome.recipe)}"
        )


def other_engines(outcome: Outcome, *, max_flips_frac: float) -> list[str]:
    """What speaks against running the new package on another engine than its own."""
    own, *others = outcome.final_rows
    return [
        f"{row.engine}: {'inf or nan' if not row.is_finite else f'{row.flips_frac:.1%} of the answers differ'}; stay "
        f"with engine {own.engine}"
        for row in others
        if not row.refusal and (not row.is_finite or row.flips_frac > max_flips_frac)
    ]


def remedies(recipe: Recipe) -> str:
    """What may keep more answers."""
    ways = []
    if recipe.int8 == "static":
        ways.append("take other --calibration images or --ranges")
    if recipe.int8 or recipe.half == "graph":
        ways.append("keep layers in float (--keep-float NAME)")
    if recipe.prune_frac is not None:
        ways.append("prune less, or train on with the pruned weights")
    return f"{', '.join(ways)}{', or ' if ways else ''}accept it with a higher --max-flips"


def build_record(outcome: Outcome) -> dict[str, Any]:
    """What RECORD_FILE says."""
    return {
        "schema": RECORD_SCHEMA,
        "source_digest": outcome.source.digest,
        "digest": outcome.package.digest,
        "options": asdict(outcome.recipe),
        "steps": [{"step": stage.step, "note": stage.note} for stage in outcome.stages],
        "num_images": outcome.num_images,
        "table": [asdict(row) for row in outcome.table],
        "versions": environment_versions(),
    }
