"""``millrace models seal``: keep what a package's model makes of a few images."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from inference_core.commands.model_facts import TrustOption


def seal_model(
    package_uri: Annotated[str, typer.Argument(metavar="PACKAGE", help="Folder or URI.")],
    images: Annotated[list[str], typer.Option("--images", "-i", help="Image or folder of images; may be repeated.")],
    count: Annotated[int, typer.Option(help="Most images to keep.")] = 8,
    force: Annotated[bool, typer.Option("--force", help="Replace golden images that are there.")] = False,
    trust_package_code: TrustOption = False,
) -> None:
    """Keep a few images in a package with what its model makes of them, for verify and for every job to check."""
    from inference_core import storage
    from inference_core.golden.pick import pick_images
    from inference_core.golden.seal import check_may_seal, golden_uri, seal
    from inference_core.models.package import load_package

    package = load_package(package_uri, trusts_code=trust_package_code)
    check_may_seal(golden_uri(package), force=force)
    golden = seal(package, pick_images(package, images, count=count), force=force)
    num_bytes = sum(found.size_bytes for found in storage.list_objects(golden_uri(package)))
    names = ", ".join(image.name for image in golden.images)
    sys.stdout.write(
        f"sealed {package.uri}: {len(golden.images)} images, {num_bytes / 1e6:.1f} MB with their values, for digest "
        f"{package.digest[:12]}, by {golden.record.engine} {golden.record.precision}\n{names}\n"
    )
