"""One run that is going to be disturbed."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from faults.cases import Case
from faults.clusters import workers_below
from faults.driver import Driver, WrongError
from faults.grounds import Grounds
from faults.inputs import HARMLESS
from faults.verdict import Verdict, judge, read_result, with_crashed
from inference_core.errors import MillraceError

STAGES = {"whole": "WholeShards", "split": "InferShards"}
"""What actors of a layout do."""


class Trial:
    """A run, its commands and how far it was when it was struck.

    Args:
        case: what strikes where.
        grounds: where everything is.
    """

    def __init__(self, case: Case, grounds: Grounds) -> None:
        self.case = case
        self.grounds = grounds
        self.random = random.Random(case.seed)
        self.output = grounds.output_of(case.place, f"out-{case.number:03d}")
        self.num_commands = 0
        self.struck_at: int | None = None
        """Shards that were committed."""
        self._mending = ExitStack()
        self.refused = HARMLESS
        """The order that the undisturbed run to compare with was given."""

    @property
    def layout(self) -> str:
        """The one that the scene names; else split."""
        return "whole" if "whole" in self.case.how else "split"

    def start(self, **execution: object) -> Driver:
        """Begin a command on the run, another one or the same again."""
        self.num_commands += 1
        settings = {"layout": self.layout} | ({"device": "cpu"} if self.layout == "whole" else {}) | execution
        return Driver(self.grounds.arguments(self.case.place, self.output, **settings), self._log())

    def _log(self) -> Path:
        return self.grounds.scratch / f"{self.case.number:03d}-{self.num_commands}.log"

    def again(self, *codes: int, **execution: object) -> int:
        """The command once more, to its end."""
        with self.start(**execution) as driver:
            return driver.finish(*(codes or (0,)))

    def retry(self, status: str) -> None:
        """Do rows of a finished run again.

        Raises:
            WrongError: it fails.
        """
        self.num_commands += 1
        with Driver(["retry", self.output, "--status", status], self._log()) as driver:
            driver.finish(0)

    def afterwards(self, mend: Callable[[], object]) -> None:
        """Undo something when the run is judged."""
        self._mending.callback(mend)

    def close(self) -> None:
        """Mend what the case left broken."""
        self._mending.close()

    def end(self, pid: int) -> None:
        """End a process that may be gone."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def num_commits(self) -> int:
        """Shards that are committed."""
        return self.grounds.commits(self.output)

    def workers(self, driver: Driver, name: str) -> list[int]:
        """Processes of the run that work at something."""
        on_cluster = self.case.place != "local"
        return self.grounds.cluster.workers(name) if on_cluster else workers_below([driver.pid], name)

    def actors(self, driver: Driver) -> list[int]:
        """Processes of the run that infer."""
        return self.workers(driver, STAGES[self.layout])

    def wait_for_moment(self, driver: Driver) -> None:
        """Wait until it is time to strike.

        Raises:
            WrongError: the run was over before.
        """
        wanted = max(1, round(self.case.moment * self.grounds.num_shards))
        driver.wait_until(lambda: self.num_commits() >= wanted, f"{wanted} commits")
        self.note_strike()

    def note_strike(self) -> None:
        """Keep how far the run is now.

        Raises:
            WrongError: it is over.
        """
        self.struck_at = self.num_commits()
        if self.struck_at >= self.grounds.num_shards:
            raise WrongError("was over before it was struck; take more images")

    def strike_worker(self, driver: Driver, find: Callable[[], list[int]], number: signal.Signals) -> int:
        """Wait for the moment and send one of some processes a signal as soon as there is one.

        Args:
            driver: of the run.
            find: looks for the processes, which may come and go within milliseconds.
            number: the signal.

        Returns:
            Which one it was.
        """
        self.wait_for_moment(driver)
        struck: list[int] = []

        def strike() -> bool:
            for pid in self.random.sample(found := find(), len(found)):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
                    struck.append(pid)
                    return True
            return False

        driver.wait_until(strike, "a worker at work", look_s=0.0)
        self.note_strike()
        return struck[0]

    def judge(self) -> Verdict:
        """Compare what came out with the undisturbed run.

        Raises:
            WrongError: it cannot be read.
        """
        try:
            found = read_result(self.output)
        except (MillraceError, OSError, ValueError) as exc:
            raise WrongError(f"left something unreadable: {exc}") from exc
        expected = self.grounds.undisturbed(self.case.place, self.refused)
        if self.refused != HARMLESS:
            expected = with_crashed(expected, found, self.grounds.inputs.poison, self.output)
        return judge(found, expected, self.grounds.inputs.names)
