"""What can be changed in a run where one of its stages holds it back, told from the model and the settings alone."""

from __future__ import annotations

from inference_core.engine_choice import EngineChoice, list_engines
from inference_core.models.package import ModelPackage
from jobs.bottleneck import WAITING, WORK, WRITE, Workers
from jobs.config import JobConfig
from jobs.execution_config import ExecutionConfig

SCALING_FITS = ("letterbox", "stretch", "shortest_side_crop")
"""Fits that resize every image."""
EXTRA_OF_ENGINE = {"onnxruntime": "onnx", "openvino": "openvino", "litert": "litert", "tensorrt": "onnx"}


def find_levers(
    package: ModelPackage, config: JobConfig, workers: Workers, *, chosen: EngineChoice | None, starts_ray: bool
) -> dict[str, str]:
    """What to change, by the stage that holds a run back.

    Args:
        package: the model.
        config: the job's settings.
        workers: how many do what.
        chosen: what ``execution.engine: auto`` found; None where nothing was compared.
        starts_ray: whether the command starts a Ray of its own.
    """
    idle_cores = workers.num_cores - workers.actors * (config.execution.threads_per_actor or 1)
    if workers.layout == "whole" and not workers.num_gpus and idle_cores > 0:
        idle = "1 core has" if idle_cores == 1 else f"{idle_cores} cores have"
        spread = f"{idle} no worker: larger execution.actors, or smaller execution.rows_per_shard"
        return {**dict.fromkeys(WORK, spread), WAITING: waiting_lever(starts_ray=starts_ray)}
    if workers.layout == "split" and not workers.num_gpus:
        whole = "execution.layout: whole, where every core does what is to be done"
        return {**dict.fromkeys(WORK, whole), WAITING: waiting_lever(starts_ray=starts_ray)}
    return {
        "fetch": fetch_lever(workers),
        "prepare": prepare_lever(package),
        "infer": infer_lever(package, config.execution, workers, chosen=chosen),
        "finish": "fewer or cheaper steps in postprocess, or more CPU cores" if package.spec.postprocess else "",
        WRITE: write_lever(package, config),
        WAITING: waiting_lever(starts_ray=starts_ray),
    }


def fetch_lever(workers: Workers) -> str:
    """Waiting for storage needs no core."""
    if workers.layout == "whole":
        return f"more workers than cores, since fetching only waits: execution.actors={2 * workers.actors}"
    return f"more preparing tasks, since fetching only waits: execution.prepare_tasks={2 * workers.prepare_tasks}"


def prepare_lever(package: ModelPackage) -> str:
    """A faster resampler where the exact one is in use, else cores."""
    spec = package.spec.input
    if spec.resampler == "pillow" and spec.fit in SCALING_FITS and spec.interpolation in ("bilinear", "bicubic"):
        return "input.resampler: torch in model.yaml, which resizes faster and differs in the last bits; or more cores"
    return "more CPU cores, or smaller files"


def infer_lever(
    package: ModelPackage, execution: ExecutionConfig, workers: Workers, *, chosen: EngineChoice | None
) -> str:
    """Another engine or precision where none was compared, else a smaller model or more of what infers."""
    more = "GPUs" if workers.num_gpus else "CPU cores"
    smaller = f"a smaller or quantised model (millrace models optimise), or more {more}"
    if execution.engine == "auto" and chosen is not None:
        return f"{smaller}: {chosen.engine} in {chosen.precision} is the fastest of what was compared"
    found = list_engines(package, device="cuda" if workers.num_gpus else "cpu")
    tried = execution.engine if execution.engine != "default" else (*found.installed, "")[0]
    others = [engine for engine in found.installed if engine != tried]
    if others:
        return f"execution.engine: auto, which times {' and '.join(others)} beside {tried} and keeps the fastest"
    if found.absent:
        extra = EXTRA_OF_ENGINE[found.absent[0]]
        return f"pip install 'millrace[{extra}]' and execution.engine: auto, which times it beside {tried}"
    if tried == "torch" and not execution.compile:
        return f"execution.compile: true, or an export to ONNX or OpenVINO (millrace models export); else {smaller}"
    return smaller


def write_lever(package: ModelPackage, config: JobConfig) -> str:
    """Masks are most of what is written."""
    if package.spec.task == "segmentation" and config.results.masks != "none":
        return "results.masks: none where rows are enough"
    return "larger execution.rows_per_shard, or a faster output"


def waiting_lever(*, starts_ray: bool) -> str:
    """The start costs the same for any number of images."""
    if starts_ray:
        return "more images per command, or a cluster that runs already (execution.address): Ray's start costs seconds"
    return "more images per command, or smaller execution.rows_per_shard where few shards keep many workers waiting"
