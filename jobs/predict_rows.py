"""Predict the images of a table: a stage between a user's own, without a plan and without a commit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from inference_core import storage
from inference_core.errors import ConfigError
from inference_core.export.rows import RowBuilder
from inference_core.models.package import load_package
from inference_core.pipeline import build_finisher, build_preparer, build_runner
from inference_core.preparer import PrepareSource
from jobs.config import LimitsConfig
from jobs.process_threads import set_process_threads

DEFAULT_LIMITS = LimitsConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictSettings:
    """What a worker needs to know: small and picklable."""

    model: str
    """Folder or URI of a package."""
    uri_column: str = "uri"
    """Names each image, unless ``bytes_column`` is there."""
    bytes_column: str = "bytes"
    """Holds encoded images."""
    id_column: str = "image_id"
    """Optional; by default the URI."""
    device: str = "auto"
    engine: str = "default"
    precision: str = "auto"
    batch_size: int | None = None
    num_threads: int = 1
    limits: LimitsConfig = DEFAULT_LIMITS
    trusts_code: bool = False


class PredictRows:
    """Holds the model, and predicts tables of images.

    Args:
        settings: of the model and the columns.

    Raises:
        ConfigError: the package or a setting is wrong.
        ModelError: the model does not load.
    """

    def __init__(self, settings: PredictSettings) -> None:
        set_process_threads(settings.num_threads)
        self._settings = settings
        package = load_package(settings.model, trusts_code=settings.trusts_code)
        limits = settings.limits
        self._preparer = build_preparer(package, limits=limits.to_limits(), max_fit_pixels=limits.max_fit_pixels)
        self._runner = build_runner(
            package,
            device=settings.device,
            engine=settings.engine,
            precision=settings.precision,
            batch_size=settings.batch_size,
            num_threads=settings.num_threads,
        )
        self._finisher = build_finisher(package)
        self._rows = RowBuilder(package.spec, model_digest=package.digest)

    def __call__(self, images: pa.Table) -> pa.Table:
        """A row of predictions for each image, in order, behind the table's own columns.

        Args:
            images: with ``bytes_column`` or ``uri_column``. Its encoded images are dropped; a column whose name a
                prediction has too gives way to it.
        """
        ids, uris = self._names(images)
        prepared = [
            self._preparer.prepare(source, image_id=image_id, uri=uri)
            for source, image_id, uri in zip(self._sources(images, uris), ids, uris, strict=True)
        ]
        rows = [self._rows.row(self._finisher.finish(raw), row_id=0) for raw in self._runner.infer(prepared)]
        predicted = self._rows.table(rows).drop_columns(["row_id"])
        kept = [
            name
            for name in images.column_names
            if name != self._settings.bytes_column and name not in predicted.column_names
        ]
        for position, name in enumerate(kept):
            predicted = predicted.add_column(position, images.schema.field(name), images[name])
        return predicted

    def _names(self, images: pa.Table) -> tuple[list[str], list[str]]:
        """Ids and URIs of the images."""
        settings, names = self._settings, images.column_names
        has_uris = settings.uri_column in names
        uris = [str(uri) for uri in images[settings.uri_column].to_pylist()] if has_uris else [""] * len(images)
        has_ids = settings.id_column in names
        return ([str(one) for one in images[settings.id_column].to_pylist()] if has_ids else uris), uris

    def _sources(self, images: pa.Table, uris: list[str]) -> Iterator[PrepareSource]:
        """The encoded images, read where the table only names them."""
        settings = self._settings
        if settings.bytes_column in images.column_names:
            return iter(images[settings.bytes_column].to_pylist())
        if settings.uri_column in images.column_names:
            return storage.read_many(uris, max_bytes=settings.limits.max_bytes)
        raise ConfigError(
            f"must have a column {settings.bytes_column} or {settings.uri_column}, got "
            f"{', '.join(images.column_names)}; name yours with bytes_column or uri_column",
            key="columns",
        )
