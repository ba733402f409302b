"""Build a model of Hugging Face transformers from a folder that ``save_pretrained`` wrote, without the network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from inference_core.errors import ConfigError, ModelError
from inference_core.models.checkpoint import read_state_dict, shown
from inference_core.models.huggingface_folder import CONFIG_FILE, weight_files
from inference_core.models.timm_model import BUILD_ERRORS
from inference_core.models.weights import Weights
from inference_core.output_spec import TaskName

if TYPE_CHECKING:
    from torch import Tensor

MAPPINGS: dict[TaskName, str] = {
    "classification": "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING",
    "multilabel": "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING",
    "segmentation": "MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING",
    "detection": "MODEL_FOR_OBJECT_DETECTION_MAPPING",
    "embedding": "MODEL_MAPPING",
}
"""Which class runs a kind of model, by task: what ``AutoModelFor...`` look into."""

OUTPUTS = ("logits", "pred_boxes", "pred_masks", "class_queries_logits", "masks_queries_logits")
"""That tasks read, of whatever a model gives."""

UNIVERSAL = "MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING"
"""Models that give masks with a class each: objects, not a class for each pixel."""


def load_huggingface(weights: Weights, *, task: TaskName, output: str | None) -> tuple[nn.Module, tuple[str, ...]]:
    """The model as a module that takes pixels and gives what the task reads.

    Args:
        weights: the folder's files.
        task: decides the class.
        output: of an embedding, which features; see ``Features``.

    Returns:
        The module, and notes of what was left out.

    Raises:
        ConfigError: transformers is not installed.
        ModelError: transformers does not know the model or has no such task for it, or the weights do not fit.
    """
    transformers = import_transformers()
    config = read_config(weights, transformers=transformers)
    model_class = find_class(config, task=task, transformers=transformers)
    state = read_state(weights)
    try:
        with quiet(transformers):
            model, report = model_class.from_pretrained(
                None,
                config=config,
                state_dict=state,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # told below, with the names
            )
    except (ImportError, *BUILD_ERRORS) as exc:
        raise ModelError(
            f"weights must be a model that this transformers ({transformers.__version__}) builds, got {weights.name}: "
            f"{' '.join(str(exc).split())[:300]}; install what it needs, or another version"
        ) from exc
    notes = check_report(report, name=weights.name, task=task, output=output)
    if task == "embedding":
        assert output is not None, "the spec requires an output for embeddings"
        return Features(model, output=output), notes
    return TaskOutputs(model), notes


def import_transformers() -> Any:
    """The library.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import transformers
    except ImportError as exc:
        raise ConfigError("format huggingface needs transformers; pip install 'millrace[huggingface]'") from exc
    return transformers


def read_config(weights: Weights, *, transformers: Any) -> Any:
    """The configuration of the model.

    Raises:
        ModelError: transformers knows no such model; code that the folder or the hub holds is never run.
    """
    facts = read_facts(weights)
    kind = facts.get("model_type")
    try:
        config_class = transformers.CONFIG_MAPPING[kind]
    except KeyError as exc:
        remote = ", and its own code is not run" if "auto_map" in facts else ""
        raise ModelError(
            f"weights must be of a model that transformers {transformers.__version__} knows, got model_type {kind!r} "
            f"in {weights.name}{remote}; install a newer version, or export the model as ONNX"
        ) from exc
    try:
        config = config_class.from_dict(facts)
    except config_errors() as exc:
        raise ModelError(
            f"{CONFIG_FILE} must be one of transformers, got {weights.name}: {exc}; save it again"
        ) from exc
    if getattr(config, "use_pretrained_backbone", False):
        config.use_pretrained_backbone = False  # its weights are among the package's; else they would be downloaded
    return config


def config_errors() -> tuple[type[BaseException], ...]:
    """What a configuration raises for facts that are none; newer ones check their types with the hub's client."""
    from huggingface_hub import errors

    strict: type[BaseException] = getattr(errors, "StrictDataclassError", ValueError)
    return (*BUILD_ERRORS, strict)


def read_facts(weights: Weights) -> dict[str, Any]:
    """``config.json`` as it stands."""
    try:
        facts = json.loads(weights.files[CONFIG_FILE])
    except (UnicodeDecodeError, ValueError) as exc:
        raise ModelError(f"{CONFIG_FILE} must be JSON, got {weights.name}: {exc}; save the model again") from exc
    if not isinstance(facts, dict):
        raise ModelError(f"{CONFIG_FILE} must hold a mapping, got {type(facts).__name__}; save the model again")
    return facts


def find_class(config: Any, *, task: TaskName, transformers: Any) -> Any:
    """The class that does a task with a kind of model; of several the one that the configuration names.

    Raises:
        ModelError: there is none.
    """
    try:
        classes = classes_for(config, mapping=MAPPINGS[task], transformers=transformers)
        universal = classes_for(config, mapping=UNIVERSAL, transformers=transformers)
    except (ImportError, RuntimeError) as exc:
        raise ConfigError(
            f"format huggingface needs a transformers that can be imported, got: {' '.join(str(exc).split())[:200]}; "
            "install the torchvision that fits this torch, or none"
        ) from exc
    if task == "detection":
        classes += universal
    if not classes:
        why = "gives masks of objects: set task detection" if universal else "has no head for it: correct task"
        raise ModelError(f"task must be one of the model's, got {task} for model_type {config.model_type}, which {why}")
    named = [cls for cls in classes if cls.__name__ in (config.architectures or ())]
    return (named or classes)[0]


def classes_for(config: Any, *, mapping: str, transformers: Any) -> list[Any]:
    """The classes that one of transformers' mappings has for a kind of model."""
    found = getattr(transformers, mapping).get(type(config), None)
    return list(found) if isinstance(found, list | tuple) else [] if found is None else [found]


def read_state(weights: Weights) -> dict[str, Tensor]:
    """All tensors, from one file or from shards."""
    state: dict[str, Tensor] = {}
    for path in weight_files(weights.files):
        state |= read_state_dict(weights.files[path], name=path)
    return state


@contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Without progress bars and reports, which transformers keeps for the whole process."""
    logging = transformers.utils.logging
    level, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if has_bars:
            logging.enable_progress_bar()


def check_report(report: Mapping[str, Any], *, name: str, task: TaskName, output: str | None) -> tuple[str, ...]:
    """Notes of what an embedding does without; everything else that does not fit is an error.

    Raises:
        ModelError: names the missing and the unexpected keys, or the shapes that differ.
    """
    missing, unexpected = sorted(report["missing_keys"]), sorted(report["unexpected_keys"])
    wrong = [f"{key} {list(got)} for {list(own)}" for key, got, own in sorted(report["mismatched_keys"])]
    if wrong:
        raise ModelError(
            f"weights must have the shapes of {CONFIG_FILE}, got {name} with {shown(wrong, 'differing')}; correct "
            "num_labels and the sizes there"
        )
    notes = []
    if task == "embedding":
        unused = [key for key in missing if ".pooler." in f".{key}" and output != "pooler_output"]
        missing = [key for key in missing if key not in unused]
        if unexpected:
            notes.append(f"{name}: left out {shown(unexpected, 'other')} of another task's head")
            unexpected = []
    if missing or unexpected:
        raise ModelError(
            f"weights must fit {CONFIG_FILE}, got {name} with {shown(missing, 'missing')} and "
            f"{shown(unexpected, 'unexpected')}; set the task that the model was trained for, or output.name of an "
            "embedding"
        )
    return tuple(notes)


class TaskOutputs(nn.Module):
    """A model with a head for a task.

    Args:
        model: of transformers, in evaluation mode.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model

    def forward(self, values: Tensor) -> dict[str, Tensor]:
        """(B, C, h, w) pixels to the outputs by name."""
        outputs = self._model(pixel_values=values, return_dict=True)
        return {name: outputs[name] for name in OUTPUTS if name in outputs}


class Features(nn.Module):
    """A model without a head.

    Args:
        model: of transformers, in evaluation mode.
        output: ``pooler_output`` is the model's own pooling, ``mean_token`` the mean over the tokens (or positions) of
            its last layer, ``cls_token`` the first of them, ``image_features`` the projection of a model of images
            and texts.

    Raises:
        ModelError: the model has no such features.
    """

    def __init__(self, model: nn.Module, *, output: str) -> None:
        super().__init__()
        self._model: Any = model
        self._output = output
        if output == "image_features" and not hasattr(model, "get_image_features"):
            raise ModelError(
                f"output.name image_features must go with a model of images and texts, got {type(model).__name__}; "
                "set pooler_output, mean_token or cls_token"
            )

    def forward(self, values: Tensor) -> dict[str, Tensor]:
        """(B, C, h, w) pixels to (B, D) features."""
        return {self._output: self._features(values)}

    def _features(self, values: Tensor) -> Tensor:
        if self._output == "image_features":
            found = self._model.get_image_features(pixel_values=values)
            features: Tensor = found if isinstance(found, torch.Tensor) else found.pooler_output
            return features
        outputs: Mapping[str, Tensor] = self._model(pixel_values=values, return_dict=True)
        if self._output == "pooler_output":
            return outputs["pooler_output"].flatten(1)
        last = outputs["last_hidden_state"]  # (B, N, D) tokens, or (B, D, h, w)
        if self._output == "mean_token":
            return last.mean(dim=1) if last.ndim == 3 else last.mean(dim=(2, 3))
        return last[:, 0]
