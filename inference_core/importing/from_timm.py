"""What timm tells of a model: its architecture, its weights and, in a configuration, its preprocessing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inference_core import storage
from inference_core.errors import ConfigError, MissingObjectError, ModelError
from inference_core.importing.class_names import class_gap, distinct
from inference_core.importing.draft import Draft, Fact
from inference_core.importing.graph import package_name
from inference_core.importing.hub import translated_hub_errors
from inference_core.importing.input_facts import joined
from inference_core.importing.timm_input import draft_timm_input
from inference_core.models.checkpoint import read_state_dict
from inference_core.models.timm_model import build_timm, check_name, import_timm
from inference_core.models.weights import read_file

if TYPE_CHECKING:
    from torch import Tensor

CONFIG_FILE, LOCAL_DIR, WEIGHTS_MARK = "config.json", "local-dir:", "?weights="
LOCAL_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""In a folder that timm wrote for a hub; most wanted first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimmModel:
    """An architecture with weights and what is known of its training."""

    name: str
    """Of the architecture."""
    config: Mapping[str, Any] = field(repr=False)
    """timm's ``pretrained_cfg``."""
    is_own_config: bool
    """Whether the configuration came with the weights; else it is that of the name, whose training may be another."""
    weights_name: str
    weights: bytes = field(repr=False)
    options: Mapping[str, Any]
    """Of ``timm.create_model``."""
    origin: str


def draft_timm(source: str, *, given: Mapping[str, Any]) -> Draft:
    """The facts of a model of timm.

    Args:
        source: ``NAME`` (the pretrained weights are downloaded), ``NAME?weights=PATH`` (a file of one's own),
            ``local-dir:PATH`` (a folder as timm writes it for a hub) or ``hf-hub:OWNER/NAME``.
        given: the user's facts by dotted key.

    Raises:
        ConfigError: timm is not installed, does not know the name, or the hub cannot be reached.
        ModelError: the folder is none of timm, or the weights cannot be read.
    """
    options = given_options(given)
    name, mark, path = source.partition(WEIGHTS_MARK)
    if source.startswith(LOCAL_DIR):
        model = read_folder(storage.normalise(source.removeprefix(LOCAL_DIR)), options=options)
    elif mark:
        model = read_named(name, uri=storage.normalise(path), options=options)
    else:
        model = download(name, options=options)
    num_classes = int(model.options.get("num_classes", model.config.get("num_classes", 1000)))
    return joined(
        draft_model(model),
        draft_timm_input(model.config, is_own=model.is_own_config, options=model.options, origin=model.origin),
        draft_answer(model, num_classes=num_classes, given=given),
    )


def given_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the user says of the architecture's options; an embedding has no classifier."""
    options = dict(given.get("architecture.options") or {})
    prefix = "architecture.options."
    options |= {key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)}
    return {"num_classes": 0, **options} if given.get("task") == "embedding" else options


def download(name: str, *, options: Mapping[str, Any]) -> TimmModel:
    """A model with the weights that timm offers for it."""
    timm = import_timm()
    if not name.startswith("hf-hub:"):
        check_name(name, timm=timm)
    with translated_hub_errors(f"timm:{name}"):
        module = timm.create_model(name, pretrained=True, **options)
    import safetensors.torch
    import torch

    config = dict(module.pretrained_cfg)
    if module.num_classes not in (0, config.get("num_classes")):
        raise ConfigError(
            f"must be {config.get('num_classes')} as those of the weights, or 0, got {module.num_classes}; train the "
            "new classifier first",
            key="architecture.options.num_classes",
        )
    # Cloned, since safetensors takes no tensors that share memory, and loading asks for each by its name.
    state = {key: tensor.clone(memory_format=torch.contiguous_format) for key, tensor in module.state_dict().items()}
    tag = f".{config['tag']}" if config.get("tag") else ""
    return TimmModel(
        name=str(config["architecture"]),
        config=config,
        is_own_config=True,
        weights_name="model.safetensors",
        weights=safetensors.torch.save(state),
        options={"num_classes": module.num_classes, **options},
        origin=f"timm's configuration of {config['architecture']}{tag}",
    )


def read_named(name: str, *, uri: str, options: Mapping[str, Any]) -> TimmModel:
    """An architecture by name with weights from a file: its classes and channels are told by their shapes."""
    timm = import_timm()
    check_name(name, timm=timm)
    config = (timm.get_pretrained_cfg(name) or timm.models.PretrainedCfg()).to_dict()
    data, file_name = read_file(uri), uri.rpartition("/")[2]
    state = read_state_dict(data, name=file_name)
    return TimmModel(
        name=name.partition(".")[0],
        config=config,
        is_own_config=False,
        weights_name=file_name,
        weights=data,
        options={**shape_options(state, config), **options},
        origin=f"timm's configuration of {name}; the weights may have been trained otherwise",
    )


def read_folder(uri: str, *, options: Mapping[str, Any]) -> TimmModel:
    """A folder as ``timm.models.push_to_hf_hub`` and ``save_for_hf`` write it."""
    import_timm()
    config_uri = storage.join(uri, CONFIG_FILE)
    try:
        facts = json.loads(storage.read_bytes(config_uri))
        name, config = facts["architecture"], dict(facts.get("pretrained_cfg") or facts)
    except MissingObjectError as exc:
        raise ModelError(f"model must be a folder that timm wrote, got {uri} without {CONFIG_FILE}") from exc
    except (LookupError, TypeError, ValueError) as exc:
        raise ModelError(f"{config_uri} must be a configuration of timm with an architecture, got {exc!r}") from exc
    present = {found.path for found in storage.list_objects(uri, recursive=False)}
    files = [file for file in LOCAL_WEIGHTS if file in present]
    if not files:
        raise ModelError(f"model must hold {' or '.join(LOCAL_WEIGHTS)}, got {uri} without; add the weights")
    # timm writes some facts beside the configuration, where they win.
    config |= {key: facts[key] for key in ("num_classes", "label_names", "label_descriptions") if key in facts}
    own = dict(facts.get("model_args") or {})
    if "num_classes" in config:
        own["num_classes"] = config["num_classes"]
    return TimmModel(
        name=str(name),
        config=config,
        is_own_config=True,
        weights_name=files[0],
        weights=read_file(storage.join(uri, files[0])),
        options={**own, **options},
        origin=CONFIG_FILE,
    )


def shape_options(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Any]:
    """Classes and channels where the shapes of the head and of the first layer tell them."""
    heads, firsts = as_names(config.get("classifier")), as_names(config.get("first_conv"))
    options: dict[str, Any] = {}
    head = next((state[f"{name}.weight"] for name in heads if f"{name}.weight" in state), None)
    if heads:
        options["num_classes"] = 0 if head is None else int(head.shape[0])
    first = next((state[f"{name}.weight"] for name in firsts if f"{name}.weight" in state), None)
    if first is not None and first.ndim == 4 and first.shape[1] != 3:
        options["in_chans"] = int(first.shape[1])
    return options


def as_names(value: Any) -> tuple[str, ...]:
    """One name or several of a configuration."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def draft_model(model: TimmModel) -> Draft:
    """Name, format, architecture and weights."""
    build_timm(model.name, **model.options)  # refuses options that do not fit, before anything is written
    return Draft(
        found=(
            Fact(key="name", value=package_name(f"{model.name}."), origin="the architecture's name"),
            Fact(key="format", value="timm", origin="an architecture of timm"),
            Fact(
                key="architecture",
                value={"name": model.name, "options": dict(model.options)},
                origin=model.origin,
            ),
            Fact(key="weights", value=model.weights_name, origin="copied into the package"),
        ),
        files={model.weights_name: model.weights},
    )


def draft_answer(model: TimmModel, *, num_classes: int, given: Mapping[str, Any]) -> Draft:
    """Task and class names."""
    task = given.get("task", "embedding" if num_classes == 0 else "classification")
    facts = [
        Fact(key="task", value=task, origin=f"num_classes: {num_classes}; multilabel where training was with sigmoids")
    ]
    if task == "embedding":
        return Draft(found=(), assumed=tuple(facts))
    if task == "multilabel":
        facts.append(Fact(key="output.activation", value="sigmoid", origin="multi-label"))
    if "classes" in given:
        return Draft(found=(), assumed=tuple(facts))
    names, origin = class_names(model, num_classes=num_classes)
    if names is None:
        return Draft(found=(), assumed=tuple(facts), missing=(class_gap(num_classes),))
    fact = Fact(key="classes", value=distinct(names), origin=origin)
    return Draft(found=(), assumed=(*facts, fact))


def class_names(model: TimmModel, *, num_classes: int) -> tuple[list[str] | None, str]:
    """Names in the order of the output, and where they stand; None where nothing tells them."""
    labels = model.config.get("label_names") or ()
    if isinstance(labels, Mapping):
        labels = [labels[key] for key in sorted(labels, key=int)]
    if labels and len(labels) == num_classes:
        descriptions = model.config.get("label_descriptions") or {}
        return [str(descriptions.get(label, label)) for label in labels], f"label_names of {model.origin}"
    data = import_timm().data
    subset = data.infer_imagenet_subset({"num_classes": num_classes})
    if subset is None:
        return None, ""
    info = data.ImageNetInfo(subset)
    names = [info.index_to_description(index) for index in range(num_classes)]
    return names, f"timm's names of {subset}, told by the number of classes"
