"""Hold a run to its package's golden images: before it is planned, as it is resumed, and on workers elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from inference_core.engine_choice import EngineChoice
from inference_core.errors import ConfigError, ModelError
from inference_core.golden.deviation import Deviation
from inference_core.golden.gaps import join_gaps, prepared_gap
from inference_core.golden.lines import cells_of, sentence_of, table_text, version_lines
from inference_core.golden.read import Golden, check_sealed_for, read_golden
from inference_core.golden.verify import prepare_images, replay
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_runner
from inference_core.provenance import environment_versions
from inference_core.runner import Runner
from jobs.config import JobConfig
from jobs.engine_sample import works_here

MAX_REPLAY_S = 5.0
"""No further image is replayed before a run after so much time; of a slow model some prove it."""

GO_ON = "to run all the same and record it: --set golden=record"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenNote:
    """What is kept of a check."""

    state: Literal["passed", "failed", "not sealed", "skipped"]
    line: str
    """The same in words."""
    deviation: Deviation | None = None
    """The figures, where images were replayed."""


def describe_golden(note: GoldenNote) -> list[str]:
    """What a run says of its package's golden images: a line, or a warning where it goes on all the same."""
    return [f"{'warning: ' * (note.state == 'failed')}golden: {note.line}"]


Prove = Callable[[EngineChoice | None], GoldenNote]
"""Check the golden images on the engine that was chosen by measurement, or that the settings name."""


def prove_golden(
    config: JobConfig, package: ModelPackage, runner: Runner, choice: EngineChoice | None = None
) -> GoldenNote:
    """Replay golden images on this machine's CPU.

    Args:
        config: the job's settings; ``golden`` decides what a failure means.
        package: as read.
        runner: holds its model on the CPU.
        choice: the engine and precision that workers will use where they are others than the runner's; where this
            machine does not have them the runner is taken.

    Raises:
        ModelError: the images are damaged, were sealed for another package, or give other answers than they did.
    """
    if config.golden == "skip":
        return GoldenNote(state="skipped", line="not checked, as asked")
    try:
        golden = read_golden(package)
        if golden is None:
            return GoldenNote(state="not sealed", line="not sealed")
        check_sealed_for(golden, package)
        found = replay_for(package, golden, runner, choice)
    except ModelError as exc:
        if config.golden == "check":
            raise ModelError(f"{exc}\n{GO_ON}") from exc
        return GoldenNote(state="failed", line=" ".join(str(exc).split()))
    if config.golden == "check":
        check_passed(package, golden, found, advice=GO_ON)
    line = sentence_of(found, num_sealed=len(golden.images))
    where = "" if works_here(config.execution) else " on this machine's CPU; workers check it on theirs"
    return GoldenNote(state="passed" if found.passed else "failed", line=f"{line}{where}", deviation=found)


def replay_for(package: ModelPackage, golden: Golden, runner: Runner, choice: EngineChoice | None) -> Deviation:
    """A replay on the chosen engine, or on the runner's where that cannot be had here."""
    facts = runner.engine_facts
    if choice is not None and (choice.engine, choice.precision) != (facts.engine, facts.precision):
        with suppress(ConfigError):  # where it is for the workers' machines
            runner = build_runner(
                package,
                device="cpu",
                engine=choice.engine,
                precision=choice.precision,
                batch_size=1,
                num_threads=facts.num_threads,
            )
    return replay(package, golden, prepare_images(package, golden.images), runner.engine, max_s=MAX_REPLAY_S)


def check_passed(package: ModelPackage, golden: Golden, found: Deviation, *, advice: str) -> None:
    """Raise ModelError, with the figures, unless a replay passed."""
    if found.passed:
        return
    lines = [
        f"golden images of {package.uri} must give what was sealed, got other values:",
        *table_text([cells_of(found)]).splitlines(),
        *found.faults,
        *version_lines(golden.record, environment_versions()),
        f"find out what changed: millrace models verify {package.uri}",
        f"if the new answers are right: millrace models seal {package.uri} --images ... --force",
        advice,
    ]
    raise ModelError("\n  ".join(lines))


def check_preparing(package: ModelPackage) -> None:
    """Prepare a package's golden images where a worker does that alone, if it has some.

    Raises:
        ModelError: they are damaged, or become other pixels than they did.
    """
    golden = read_golden(package)
    if golden is None:
        return
    items = prepare_images(package, golden.images)
    gap = join_gaps(prepared_gap(golden, index, item) for index, item in enumerate(items))
    if gap.largest is None or gap.num_off > golden.record.tolerance.prepared_frac * gap.num_values:
        raise ModelError(
            f"golden images of {package.uri} must be prepared alike on every worker, got other pixels "
            f"({changed_software(golden)}); mend that machine, or run all the same: --set golden=record"
        )


def changed_software(golden: Golden) -> str:
    """What is other here than where a package was sealed, in a line."""
    return "; ".join(version_lines(golden.record, environment_versions())) or "with the same software"


def check_worker(package: ModelPackage, runner: Runner) -> None:
    """Replay a package's golden images where a worker runs, if it has some.

    Raises:
        ModelError: they are damaged, or give other answers than they did; in one line, since Ray keeps no more.
    """
    golden = read_golden(package)
    if golden is None:
        return
    found = replay(package, golden, prepare_images(package, golden.images), runner.engine, max_s=MAX_REPLAY_S)
    if not found.passed:
        raise ModelError(
            f"golden images of {package.uri} must give what was sealed on every worker, got "
            f"{sentence_of(found, num_sealed=len(golden.images))} ({changed_software(golden)}); mend that machine, or "
            "run all the same: --set golden=record"
        )
