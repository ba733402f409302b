"""``millrace explain``: where in images the evidence for their answers lies."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inference_core.commands.engine_options import DeviceOption, EngineOption, ThreadsOption
from inference_core.commands.exit_codes import EXIT_TOO_MANY_ERRORS
from inference_core.commands.model_facts import MODEL_HELP, FactsOption, TrustOption, open_named_model
from inference_core.commands.predict import file_names
from inference_core.commands.save_folder import make_save_folder

if TYPE_CHECKING:
    from inference_core.explain.explainer import Explainer
    from inference_core.explain.explanation import Explanation


def explain(
    images: Annotated[list[str], typer.Argument(help="Paths or URIs.")],
    model: Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)],
    method: Annotated[
        str,
        typer.Option(help="gradcam, saliency, integrated_gradients or occlusion; auto takes what the model allows."),
    ] = "auto",
    class_name: Annotated[str, typer.Option("--class", help="Which class; by default the best one.")] = "",
    layer: Annotated[str, typer.Option(help="Of Grad-CAM; by default it is found.")] = "",
    object_index: Annotated[
        int | None, typer.Option("--object", help="Of a detection, which object, from 0; by default the best one.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Folder for pictures.")] = None,
    arrays: Annotated[bool, typer.Option("--arrays", help="Save heatmaps as .npy files, too.")] = False,
    device: DeviceOption = "auto",
    engine: EngineOption = "default",
    threads: ThreadsOption = 0,
    assignments: FactsOption = None,
    trust_package_code: TrustOption = False,
) -> None:
    """Explain answers: print a JSON object for each image, and save pictures."""
    from inference_core.explain.explainer import Explainer

    with open_named_model(model, assignments, trusts_code=trust_package_code) as package:
        wish = {"method": method, "class_name": class_name, "layer": layer, "object_index": object_index}
        suffixes = () if save is None else (".png", ".npy") if arrays else (".png",)
        explainer = Explainer(package, device=device, engine=engine, num_threads=threads)
        explainer.check(method=method, class_name=class_name, layer=layer)
        make_save_folder(save)
        found = explain_images(explainer, images, wish=wish, suffixes=suffixes)
        num_failed = 0
        for name, (facts, files) in zip(file_names(images), found, strict=True):
            num_failed += "error" in facts
            paths = {} if save is None else save_files(files, folder=save, name=name)
            sys.stdout.write(json.dumps(facts | paths, ensure_ascii=False) + "\n")
    if num_failed:
        raise typer.Exit(EXIT_TOO_MANY_ERRORS)


Entry = tuple[dict[str, Any], dict[str, bytes]]
"""What is printed of an image, and its files by suffix; a bad image has an error, and none."""


def explain_images(
    explainer: Explainer, images: Sequence[str], *, wish: dict[str, Any], suffixes: Sequence[str]
) -> Iterator[Entry]:
    """Explain one image after the other.

    Args:
        explainer: of the model.
        images: paths or URIs.
        wish: arguments of ``Explainer.explain``.
        suffixes: of the files that are made: .png for pictures, .npy for heatmaps.

    Raises:
        ConfigError: the layer does not go with the model.
    """
    from inference_core.errors import InputError
    from inference_core.storage import mask_secrets

    for uri in images:
        image_id = mask_secrets(uri)
        try:
            data = read_image(uri)
            explanation = explainer.explain(data, image_id=image_id, **wish)
            files = {suffix: file_content(explainer, explanation, data, suffix=suffix) for suffix in suffixes}
        except InputError as exc:
            yield {"image_id": image_id, "status": exc.status, "error": str(exc)}, {}
            continue
        yield explanation.facts(), files


def read_image(uri: str) -> bytes:
    """The bytes at a path or URI.

    Raises:
        InputError: they cannot be had, or are too many.
    """
    from inference_core import storage
    from inference_core.errors import FetchError, InputError, StorageError
    from inference_core.images import Limits

    (found,) = storage.read_many([uri], max_bytes=Limits().max_bytes)
    if isinstance(found, StorageError):
        raise FetchError(str(found), uri=uri)
    if isinstance(found, InputError):
        raise found
    return found


def file_content(explainer: Explainer, explanation: Explanation, data: bytes, *, suffix: str) -> bytes:
    """The picture of an explanation, or its heatmap as an array."""
    import numpy as np

    from inference_core.visualize.heatmap import encode_png

    if suffix == ".png":
        return encode_png(explainer.draw(data, explanation))
    buffer = io.BytesIO()
    np.save(buffer, explanation.heatmap, allow_pickle=False)
    return buffer.getvalue()


def save_files(files: Mapping[str, bytes], *, folder: Path, name: str) -> dict[str, str]:
    """Write files; their paths."""
    from inference_core.export.masks import safe_part

    paths = {}
    for suffix, content in files.items():
        path = folder / safe_part(f"{name}{suffix}", suffix=suffix, is_folder=False)
        path.write_bytes(content)
        paths["picture_path" if suffix == ".png" else "heatmap_path"] = str(path)
    return paths
