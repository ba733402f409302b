"""Where runs happen: images and a model on disk and on S3, a cluster, and what undisturbed runs gave there."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from s3_process import S3Process, s3_process

from faults.cases import Place
from faults.clusters import ChaosCluster
from faults.driver import Driver
from faults.inputs import HARMLESS, Inputs
from faults.verdict import Result, read_result
from tests.integration.commands import commits, run_arguments

BUCKET = "s3://millrace-chaos"
ROWS_PER_SHARD = 48
FIXED = {
    "rows_per_shard": ROWS_PER_SHARD,
    "batch_size": 16,  # what shares a forward may change the last bits
    "image_memory_bytes": 400_000_000,
    "image_timeout_s": 3,
    "no_progress_timeout_s": 90,
}
"""Of ``execution``, in every run."""


class Grounds:
    """Everything that outlives a run.

    Args:
        scratch: folder for all that is written.
        inputs: what runs work on.
    """

    def __init__(self, scratch: Path, inputs: Inputs) -> None:
        self.scratch = scratch
        self.inputs = inputs
        self.cluster = ChaosCluster()
        self._stack = ExitStack()
        self._results: dict[str, Result] = {}
        # Before the cluster: its workers inherit the address.
        self.s3: S3Process = self._stack.enter_context(s3_process(BUCKET))
        for name in inputs.names:
            self.s3.fill(f"in/{name}", (inputs.images / name).read_bytes())

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the cluster and the server."""
        self.cluster.forget()
        self._stack.close()

    def output_of(self, place: Place, name: str) -> str:
        """Where a run writes."""
        return f"{BUCKET}/{name}" if place == "s3" else str(self.scratch / name)

    def arguments(self, place: Place, output: str, **execution: object) -> list[str]:
        """Of a command."""
        if place != "local":
            execution = {"address": self.cluster.address} | execution
        sets = [f"execution.{key}={value}" for key, value in (FIXED | execution).items()]
        images = f"{BUCKET}/in" if place == "s3" else self.inputs.images
        return run_arguments(self.inputs.package, [images], output, *sets)

    def commits(self, output: str) -> int:
        """Shards of a run that are committed."""
        return self.s3.count(f"{output}/_commits/") if output.startswith("s3://") else commits(Path(output))

    @property
    def num_shards(self) -> int:
        """Of every run."""
        return self.commits(self.undisturbed_output("local"))

    def undisturbed(self, place: Place, order: str = HARMLESS) -> Result:
        """What a run that nobody disturbed gave there, with poison that does as it is told."""
        output = self.undisturbed_output(place, order)
        if output not in self._results:
            self._results[output] = read_result(output)
        return self._results[output]

    def undisturbed_output(self, place: Place, order: str = HARMLESS) -> str:
        """Where that run is, which is made when it is first asked for."""
        place = "s3" if place == "s3" else "local"
        name = f"undisturbed-{place}-{order}"
        output = self.output_of(place, name)
        if not self.commits(output):
            self.inputs.command(order)
            with Driver(self.arguments(place, output), self.scratch / f"{name}.log") as driver:
                driver.finish(0)
            self.inputs.command(HARMLESS)
        return output
