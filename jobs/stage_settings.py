"""What every stage of a run is told."""

from __future__ import annotations

from dataclasses import dataclass

from inference_core.export.mask_files import PlaneOutput
from jobs.config import LimitsConfig
from jobs.manifest import Manifest
from jobs.shards import Shards


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """All that a worker needs to know of a run: small, picklable, the same for every stage."""

    output: str
    run_id: str
    manifest: Manifest
    shards: Shards
    model_uri: str
    model_digest: str
    trusts_code: bool
    """Whether Python files of the package may be run."""
    limits: LimitsConfig
    bytes_column: str | None
    """Of Parquet files that hold images."""
    planes: PlaneOutput
    """What is kept of pixels."""
    device: str
    engine: str
    precision: str
    batch_size: int | None
    size_of_shape: tuple[tuple[tuple[int, int], int], ...]
    """(h, w) of tiles with the tiles of a forward, where fewer than ``batch_size`` are faster."""
    claims: str
    """Folder of this machine where processes claim shards while some have a head start; "" where none has."""
    known_answers: str
    """Index of answers that earlier runs gave for the same bytes; "" where there are none."""
    reuses_by_etag: bool
    """Whether images that lie unchanged where an earlier run found them are taken over unread."""
    infers_duplicates: bool
    """Whether images of a shard whose bytes are equal are inferred each."""
    compiles: bool
    cuda_graphs: bool
    num_threads: int
    no_progress_timeout_s: float
    """Without a commit, until the driver ends the run."""
    image_timeout_s: float
    """In quarantine, of one step of the work."""
    image_memory_bytes: int
    """In quarantine, beyond what the loaded model takes."""
    generation: int = 0
    """Of the commit log: 0 for the run itself, else the number of a retry."""
    checks_golden: bool
    """Whether workers replay the package's golden images: they do where they are not as the driver is."""
