"""What a Hugging Face model says of itself: its task, its classes and, in its processor's file, its preprocessing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from inference_core import storage
from inference_core.errors import ConfigError, MissingObjectError, ModelError
from inference_core.importing.class_names import class_gap, distinct
from inference_core.importing.draft import Draft, Fact, Gap
from inference_core.importing.from_timm import LOCAL_DIR, draft_timm
from inference_core.importing.graph import package_name
from inference_core.importing.hub import translated_hub_errors
from inference_core.importing.huggingface_input import draft_processor
from inference_core.importing.huggingface_processor import PROCESSOR_FILE
from inference_core.importing.input_facts import joined
from inference_core.importing.output_facts import TASK_GAP
from inference_core.models.huggingface_folder import CONFIG_FILE, INDEX_ENDING, LONE_FILES
from inference_core.models.weights import Weights, read_weights

WEIGHTS_FOLDER = "model"
"""In the package."""
NESTED_FILE, NESTED_KEY = "processor_config.json", "image_processor"
"""Where a processor of images and texts keeps that of its images."""

TASK_ENDINGS = {
    "ForImageClassification": "classification",
    "ForImageClassificationWithTeacher": "classification",
    "ForSemanticSegmentation": "segmentation",
    "ForObjectDetection": "detection",
    "ForInstanceSegmentation": "detection",
    "ForUniversalSegmentation": "detection",
    "Model": "embedding",
}
"""Endings of the class that a model was saved as."""

SET_DECODERS: dict[str, dict[str, Any]] = {
    **{
        kind: {"name": "detr", "activation": "softmax", "no_object": "last"}
        for kind in ("detr", "yolos", "table-transformer")
    },
    **{
        kind: {"name": "detr", "activation": "sigmoid", "no_object": "none"}
        for kind in ("conditional_detr", "dab-detr", "deformable_detr", "rt_detr", "rt_detr_v2", "d_fine", "deta")
    },
    **{kind: {"name": "mask2former", "no_object": "last"} for kind in ("maskformer", "mask2former")},
}
"""How each kind of detector scores the boxes of its set."""

FEATURES_GAP = Gap(
    key="output.name",
    reason="which features: pooler_output (the model's own pooling), mean_token (the mean over its last layer), "
    "cls_token (the first token) or image_features (of a model of images and texts)",
    example="cls_token",
)


def draft_huggingface(source: str, *, given: Mapping[str, Any]) -> Draft:
    """The facts of a model of Hugging Face.

    Args:
        source: a folder or prefix as ``save_pretrained`` writes it, or a name on the hub, ``OWNER/NAME`` with
            ``@REVISION`` behind it where another than the newest is meant.
        given: the user's facts by dotted key.

    Raises:
        ConfigError: the hub cannot be reached or does not know the name.
        ModelError: the folder is no such model.
    """
    folder = find_folder(source)
    config = read_json(storage.join(folder, CONFIG_FILE))
    if config is None:
        raise ModelError(f"model must be a folder with {CONFIG_FILE}, got {source}; save it with save_pretrained")
    if "model_type" not in config and "architecture" in config:
        return draft_timm(f"{LOCAL_DIR}{folder}", given=given)
    weights = read_weights(folder, weights_format="huggingface")
    processor = read_json(storage.join(folder, PROCESSOR_FILE)) or nested_processor(folder)
    task, task_fact = task_of(config, given=given)
    return joined(
        draft_files(source, weights, config=config),
        draft_processor(processor, num_channels=channels_of(config)),
        Draft(found=(task_fact,)) if task_fact else Draft(found=(), missing=() if task else (TASK_GAP,)),
        draft_answer(task, config, weights=weights, given=given),
    )


def find_folder(source: str) -> str:
    """The folder of a model, downloaded where the source is a name."""
    is_place = "://" in source or source.startswith(("/", ".", "~"))
    uri = storage.normalise(source)
    if is_place or storage.exists(storage.join(uri, CONFIG_FILE)):
        return uri
    return storage.normalise(download(source))


def download(name: str) -> str:
    """The files of a model on the hub, in the hub's own cache; safetensors where there are any.

    Raises:
        ConfigError: the library is not installed, or the hub does not give them.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as exc:
        raise ConfigError("hf: names need the hub's client; pip install 'millrace[huggingface]'") from exc
    repository, _, revision = name.partition("@")
    safe, pickled = LONE_FILES
    with translated_hub_errors(f"hf:{name}"):
        wanted = [CONFIG_FILE, PROCESSOR_FILE, NESTED_FILE, safe, safe + INDEX_ENDING, "model-*.safetensors"]
        folder = snapshot_download(repository, revision=revision or None, allow_patterns=wanted)
        if not any(
            storage.exists(storage.join(storage.normalise(folder), file)) for file in (safe, safe + INDEX_ENDING)
        ):
            wanted = [pickled, pickled + INDEX_ENDING, "pytorch_model-*.bin"]
            folder = snapshot_download(repository, revision=revision or None, allow_patterns=wanted)
    return str(folder)


def read_json(uri: str) -> dict[str, Any] | None:
    """The mapping in a file, None where there is no file.

    Raises:
        ModelError: it holds something else.
    """
    try:
        facts = json.loads(storage.read_bytes(uri))
    except MissingObjectError:
        return None
    except ValueError as exc:
        raise ModelError(f"{uri} must be JSON, got: {exc}; save the model again") from exc
    if not isinstance(facts, dict):
        raise ModelError(f"{uri} must hold a mapping, got {type(facts).__name__}; save the model again")
    return facts


def nested_processor(folder: str) -> dict[str, Any] | None:
    """The processor of images inside one of images and texts."""
    facts = (read_json(storage.join(folder, NESTED_FILE)) or {}).get(NESTED_KEY)
    return facts if isinstance(facts, dict) else None


def draft_files(source: str, weights: Weights, *, config: Mapping[str, Any]) -> Draft:
    """Name, format and weights."""
    name = source.rstrip("/").rpartition("/")[2].partition("@")[0]
    return Draft(
        found=(
            Fact(key="name", value=package_name(f"{name}."), origin="the model's name"),
            Fact(key="format", value="huggingface", origin=f"{CONFIG_FILE}: model_type {config.get('model_type')}"),
            Fact(key="weights", value=WEIGHTS_FOLDER, origin="copied into the package"),
        ),
        files={f"{WEIGHTS_FOLDER}/{path}": data for path, data in weights.files.items()},
    )


def channels_of(config: Mapping[str, Any]) -> int:
    """Channels of the model's input; nested configurations of images and texts are looked into."""
    nested = config.get("vision_config") or config.get("backbone_config") or {}
    return int(config.get("num_channels") or nested.get("num_channels") or 3)


def task_of(config: Mapping[str, Any], *, given: Mapping[str, Any]) -> tuple[str | None, Fact | None]:
    """The task that is said, or that the saved class tells with its fact."""
    if "task" in given:
        return str(given["task"]), None
    for name in config.get("architectures") or ():
        ending = next((ending for ending in sorted(TASK_ENDINGS, key=len, reverse=True) if name.endswith(ending)), None)
        if ending is None:
            continue
        task, origin = TASK_ENDINGS[ending], f"architectures: {name}"
        if task == "classification" and config.get("problem_type") == "multi_label_classification":
            task, origin = "multilabel", "problem_type: multi_label_classification"
        return task, Fact(key="task", value=task, origin=origin)
    return None, None


def draft_answer(task: str | None, config: Mapping[str, Any], *, weights: Weights, given: Mapping[str, Any]) -> Draft:
    """Class names and how outputs are read."""
    if task == "embedding":
        return draft_features(weights, given=given)
    found, missing = [], []
    if "classes" not in given:
        fact = classes_of(config)
        found += [fact] if fact else []
        missing += [] if fact else [class_gap(None)]
    if task == "multilabel":
        found.append(Fact(key="output.activation", value="sigmoid", origin="multi-label"))
    if task == "detection":
        decoder = SET_DECODERS.get(str(config.get("model_type")))
        if decoder is None:
            missing.append(decoder_gap(config))
        else:
            found.append(Fact(key="output.decoder", value=decoder, origin=f"model_type {config['model_type']}"))
            found.append(Fact(key="output.nms.method", value="none", origin="such detectors give each object once"))
    return Draft(found=tuple(found), missing=tuple(missing))


def classes_of(config: Mapping[str, Any]) -> Fact | None:
    """``id2label`` in order, None where it is absent or has holes."""
    labels = config.get("id2label")
    if not isinstance(labels, Mapping) or not labels:
        # transformers leaves its two placeholders out of the file.
        return None
    by_id = {int(key): str(label) for key, label in labels.items()}
    if sorted(by_id) != list(range(len(by_id))):
        return None
    names = [by_id[index] for index in range(len(by_id))]
    return Fact(key="classes", value=distinct(names), origin="id2label")


def decoder_gap(config: Mapping[str, Any]) -> Gap:
    """A detector whose scores are not known."""
    return Gap(
        key="output.decoder",
        reason=f"whether the scores of model_type {config.get('model_type')} are softmax with a class for no object "
        "or sigmoid",
        example="{name: detr, activation: sigmoid, no_object: none}",
    )


def draft_features(weights: Weights, *, given: Mapping[str, Any]) -> Draft:
    """Which features an embedding is; assumed only where the weights hold a pooling of their own."""
    if "output.name" in given:
        return Draft(found=())
    files = b"".join(data[:MAX_HEADER_BYTES] for path, data in weights.files.items() if path != CONFIG_FILE)
    for mark, name in ((b"visual_projection.", "image_features"), (b"pooler.", "pooler_output")):
        if mark in files:
            fact = Fact(key="output.name", value=name, origin=f"the weights hold {mark.decode().rstrip('.')}")
            return Draft(found=(), assumed=(fact,))
    return Draft(found=(), missing=(FEATURES_GAP,))


MAX_HEADER_BYTES = 1_000_000
"""Of a file of weights: names of tensors stand in front."""
