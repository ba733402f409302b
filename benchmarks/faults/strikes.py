"""What each kind of fault does to a run, and which exit codes its commands must have."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc

from faults.driver import Driver, WrongError
from faults.inputs import HARMLESS, REFUSED
from faults.trial import Trial
from inference_core import storage
from inference_core.commands.exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_TOO_MANY_ERRORS
from jobs.lease import LEASE_FILE
from jobs.results import read_results
from jobs.termination import EXIT_TERMINATED

STALLED_AFTER_S = 15
"""Until a hanging run ends; longer than actors take to start."""
FAULT_RATE = 0.06
"""Share of requests to S3 that fail: all six attempts of one then do so once in twenty million."""
RARELY_HANGS = 40
"""Other faults for each request that is not answered: a client waits half a minute."""
OUTAGE_S = (2.0, 15.0)
MAX_COMMANDS = 4
"""Before a fault that comes again and again counts as too much for the run."""
BLOCK_BYTES = 4096
ROOM = "256m"


def kill_actor(trial: Trial) -> None:
    """An actor's process is killed; Ray starts another one."""
    with trial.start(head_start="false") as driver:
        trial.strike_worker(driver, lambda: trial.actors(driver), signal.SIGKILL)
        driver.finish(EXIT_DONE)


def kill_task(trial: Trial) -> None:
    """A process that prepares or commits is killed."""
    with trial.start(head_start="false") as driver:
        trial.strike_worker(driver, lambda: trial.workers(driver, trial.case.how), signal.SIGKILL)
        driver.finish(EXIT_DONE)


def kill_node(trial: Trial) -> None:
    """A machine is gone at once; another comes, or not."""
    cluster = trial.grounds.cluster
    trial.afterwards(cluster.mend)
    with trial.start() as driver:
        trial.wait_for_moment(driver)
        cluster.kill_node(has_gpu="GPU" in trial.case.how, replaced="replaced" in trial.case.how)
        driver.finish(EXIT_DONE)


def kill_driver(trial: Trial) -> None:
    """The command is killed and given again."""
    with trial.start() as driver:
        trial.wait_for_moment(driver)
        driver.send(signal.SIGKILL)
        driver.finish(-signal.SIGKILL)
    trial.again()


def stop_driver(trial: Trial) -> None:
    """The command is asked to end, and given again."""
    with trial.start() as driver:
        trial.wait_for_moment(driver)
        driver.send(signal.SIGTERM)
        driver.finish(EXIT_TERMINATED, patience_s=30)
    trial.again()


def two_drivers(trial: Trial) -> None:
    """Two commands on one output."""
    {
        "both at once": both_at_once,
        "first killed": heir_waits,
        "lease lost": lease_lost,
        "dead machine": dead_machine,
    }[trial.case.how](trial)


def both_at_once(trial: Trial) -> None:
    """Two begin together; one works and the other waits."""
    with trial.start() as first, trial.start() as second:
        first.finish(EXIT_DONE)
        second.finish(EXIT_DONE)
        if not any("another command works on this run" in driver.said for driver in (first, second)):
            raise WrongError("both worked")


def heir_waits(trial: Trial) -> None:
    """A second one waits for the first, which is killed."""
    with trial.start() as first:
        trial.wait_for_moment(first)
        with trial.start() as second:
            second.wait_until(lambda: "waiting for its end" in second.said, "waiting for the first")
            first.send(signal.SIGKILL)
            first.finish(-signal.SIGKILL)
            second.finish(EXIT_DONE)


def lease_lost(trial: Trial) -> None:
    """Both work at the same time: the second one cannot know of the first."""
    share = {"num_cpus": 2, "num_gpus": 1}
    with trial.start(**share) as first:
        trial.wait_for_moment(first)
        storage.delete_many([lease_uri(trial)])
        with trial.start(**share) as second:
            first.finish(EXIT_DONE)
            second.finish(EXIT_DONE)


def dead_machine(trial: Trial) -> None:
    """The lease is that of a machine that is gone: nobody can look for its process."""
    with trial.start() as driver:
        trial.wait_for_moment(driver)
        driver.send(signal.SIGKILL)
        driver.finish(-signal.SIGKILL)
    lease = json.loads(storage.read_bytes(lease_uri(trial)))
    storage.replace(lease_uri(trial), json.dumps(lease | {"host": "gone", "boot": "long ago"}).encode())
    trial.again()


def lease_uri(trial: Trial) -> str:
    """Where it says who works on the run."""
    return storage.join(storage.normalise(trial.output), LEASE_FILE)


def s3_faults(trial: Trial) -> None:
    """A share of all requests fails, from the first to the last."""
    faults = trial.case.how.replace(",", "").split()
    if "hang" in faults:
        faults = [name for name in faults if name != "hang"] * RARELY_HANGS + ["hang"]
    server = trial.grounds.s3
    server.misbehave(faults, rate=FAULT_RATE, seed=trial.case.seed)
    trial.afterwards(lambda: server.misbehave([], rate=0, seed=0))
    while trial.again(EXIT_DONE, EXIT_FAILED):
        check_patience(trial)
    server.misbehave([], rate=0, seed=0)


def s3_outage(trial: Trial) -> None:
    """All requests fail for some seconds. Images that could not be read meanwhile are rows that can be retried."""
    server = trial.grounds.s3
    trial.afterwards(lambda: server.misbehave([], rate=0, seed=0))
    with trial.start() as driver:
        trial.wait_for_moment(driver)
        server.misbehave([trial.case.how], rate=1, seed=0)
        time.sleep(trial.random.uniform(*OUTAGE_S))
        server.misbehave([], rate=0, seed=0)
        code = driver.finish(EXIT_DONE, EXIT_FAILED, EXIT_TOO_MANY_ERRORS)
    while code == EXIT_FAILED:
        check_patience(trial)
        code = trial.again(EXIT_DONE, EXIT_FAILED, EXIT_TOO_MANY_ERRORS)
    statuses = read_results(trial.output, columns=["status"])["status"]
    if pc.sum(pc.equal(statuses, "fetch_error")).as_py():
        trial.retry("fetch_error")


def check_patience(trial: Trial) -> None:
    """Raise WrongError where the run does not get to its end."""
    if trial.num_commands >= MAX_COMMANDS:
        raise WrongError(f"was not done after {trial.num_commands} commands")


def full_disk(trial: Trial) -> None:
    """The output's disk is full; then there is room, and the command is given again."""
    whole = Path(trial.grounds.undisturbed_output(trial.case.place))
    needed = sum(-(-path.stat().st_size // BLOCK_BYTES) * BLOCK_BYTES for path in whole.rglob("*") if path.is_file())
    disk = trial.grounds.scratch / f"disk-{trial.case.number:03d}"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", f"size={int(needed * trial.case.moment)}", "tmpfs", str(disk))
    trial.afterwards(lambda: subprocess.run(["umount", "--lazy", str(disk)], check=True))
    trial.output = str(disk / "out")
    with trial.start() as driver:
        driver.finish(EXIT_FAILED)
        if "the disk is full" not in driver.last_line():
            raise WrongError(f"did not tell of the disk: {driver.last_line()}")
    trial.struck_at = trial.num_commits()
    mount("-o", f"remount,size={ROOM}", str(disk))
    trial.again()


def mount(*options: str) -> None:
    """Mount a file system.

    Raises:
        WrongError: it cannot be done here.
    """
    done = subprocess.run(["mount", *options], check=False, capture_output=True, text=True)
    if done.returncode:
        raise WrongError(f"file systems cannot be mounted here: {done.stderr.strip()}; leave full-disk out of --kinds")


def poison(trial: Trial) -> None:
    """Images bring down each process that prepares them; their rows say so."""
    order(trial)
    trial.again()


def order(trial: Trial) -> None:
    """Make poison deadly in the way that the scene names."""
    inputs = trial.grounds.inputs
    trial.refused = REFUSED
    trial.grounds.undisturbed(trial.case.place, REFUSED)  # gives orders too
    inputs.command(trial.case.how.partition(",")[0])
    trial.afterwards(lambda: inputs.command(HARMLESS))


def hang(trial: Trial) -> None:
    """A process, or the work on an image, stands still: the run ends by itself and the same command goes on. An image
    that no task had come to when the run ended costs a command of its own.
    """
    if trial.case.how.startswith("sleep"):
        order(trial)
    options = {"no_progress_timeout_s": STALLED_AFTER_S, "head_start": "false"}
    with trial.start(**options) as driver:
        if trial.refused == HARMLESS:
            stop_worker(trial, driver)
        driver.finish(EXIT_FAILED)
        if "a shard must be committed within" not in driver.last_line():
            raise WrongError(f"did not tell of the hanging: {driver.last_line()}")
    while trial.again(EXIT_DONE, EXIT_FAILED, **options):
        check_patience(trial)


def stop_worker(trial: Trial, driver: Driver) -> None:
    """Stop an actor or a task, as on a machine that swaps itself to death."""
    find = {
        "stopped actor": lambda: trial.actors(driver),
        "stopped task": lambda: trial.workers(driver, "PrepareShards"),
    }[trial.case.how]
    pid = trial.strike_worker(driver, find, signal.SIGSTOP)
    trial.afterwards(lambda: trial.end(pid))


def lost_cluster(trial: Trial) -> None:
    """The head is gone, and the cluster with it; the command is given again on a new one."""
    cluster = trial.grounds.cluster
    with trial.start() as driver:
        trial.wait_for_moment(driver)
        cluster.kill_head()
        driver.finish(EXIT_FAILED)
        if "the cluster's head at" not in driver.last_line():
            raise WrongError(f"did not tell of the head: {driver.last_line()}")
    cluster.forget()
    trial.again()


STRIKES: dict[str, Callable[[Trial], None]] = {
    "kill-actor": kill_actor,
    "kill-task": kill_task,
    "kill-node": kill_node,
    "kill-driver": kill_driver,
    "stop-driver": stop_driver,
    "two-drivers": two_drivers,
    "s3-faults": s3_faults,
    "s3-outage": s3_outage,
    "full-disk": full_disk,
    "poison": poison,
    "memory": poison,
    "hang": hang,
    "lost-cluster": lost_cluster,
}
"""By kind."""
