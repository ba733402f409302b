"""What a checkpoint of Lightning tells: the parts of its weights, its hyper-parameters, and a built-in architecture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from inference_core.architecture_spec import TIMM_PREFIX, ArchitectureSpec
from inference_core.errors import ConfigError
from inference_core.importing.draft import Draft, Fact, Gap
from inference_core.importing.from_state_dict import (
    IMAGE,
    UNET_KEY,
    first_channels,
    last_count,
    outcome_gaps,
    unet_fact,
)
from inference_core.importing.graph import draft_files, draft_graph
from inference_core.importing.input_facts import GraphInput, draft_input, joined
from inference_core.models.architectures import find_factory
from inference_core.models.lightning import HYPER_PARAMETERS_NAME, hyper_parameters_of, option_names, read_lightning
from inference_core.models.weights import read_weights

if TYPE_CHECKING:
    from torch import Tensor

ARCHITECTURE = "architecture"
MAX_SHOWN_CHARS = 60
"""Of the value of a hyper-parameter."""


def draft_lightning(source: str, *, given: Mapping[str, Any]) -> Draft:
    """The facts of a checkpoint of Lightning.

    Args:
        source: path or URI of the ``.ckpt``.
        given: the user's facts by dotted key, ``architecture.*`` among them.

    Raises:
        ConfigError: the architecture cannot be built, or the user's classes do not fit.
        ModelError: the file is no such checkpoint, needs code that is not run, or does not fit the architecture.
    """
    weights = read_weights(source, weights_format="lightning")
    checkpoint = read_lightning(weights.data, name=weights.name)
    state, hyper_parameters = checkpoint.state, hyper_parameters_of(checkpoint.content)
    port = GraphInput(name=IMAGE, shape=(None, first_channels(state, is_ordered=True), None, None))
    known = draft_architecture(checkpoint.content, state, given=given)
    if known is not None:
        return draft_graph(weights, "lightning", port=port, given=given, known=known)
    return joined(
        draft_files(weights, "lightning"),
        draft_input(port, given=given),
        Draft(
            found=(),
            missing=(
                architecture_gap(state, hyper_parameters),
                *outcome_gaps(last_count(largest_part(state)), given=given),
            ),
        ),
    )


def draft_architecture(
    content: Mapping[str, Any], state: Mapping[str, Tensor], *, given: Mapping[str, Any]
) -> Draft | None:
    """What is known of the architecture that the user names, or of a built-in one; None where there is neither."""
    named = {kind: given[f"{ARCHITECTURE}.{kind}"] for kind in ("name", "import") if f"{ARCHITECTURE}.{kind}" in given}
    if not named:
        return draft_unet(state)
    hyper_parameters = hyper_parameters_of(content)
    used = usable(named, hyper_parameters, whole=content.get(HYPER_PARAMETERS_NAME))
    if not used or f"{ARCHITECTURE}.hyper_parameters" in given:
        return Draft(found=())
    fact = Fact(
        key=ARCHITECTURE,
        value={**named, "hyper_parameters": True},
        origin=f"hyper-parameters of the checkpoint that it takes: {shown(used)}",
    )
    return Draft(found=(), assumed=(fact,))


def usable(named: Mapping[str, Any], hyper_parameters: Mapping[str, Any], *, whole: Any) -> dict[str, Any]:
    """Hyper-parameters that an architecture takes; {} of one that takes anything by any name."""
    if str(named.get("name", "")).startswith(TIMM_PREFIX):
        return {}
    try:
        names, takes_any = option_names(find_factory(ArchitectureSpec.model_validate(dict(named))))
    except (ConfigError, TypeError, ValueError):
        return {}  # whoever builds it says what is wrong
    if takes_any or whole in names:
        return dict(hyper_parameters)
    return {key: value for key, value in hyper_parameters.items() if key in names}


def draft_unet(state: Mapping[str, Tensor]) -> Draft | None:
    """The built-in U-Net, where its names stand behind some prefix."""
    found = [key.removesuffix(UNET_KEY) for key in state if key.endswith(f".{UNET_KEY}") or key == UNET_KEY]
    if len(found) != 1:
        return None
    (prefix,) = found
    fact = unet_fact({key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)})
    options = {**fact.value, "prefix": prefix} if prefix else fact.value
    return Draft(found=(Fact(key=ARCHITECTURE, value=options, origin=fact.origin),))


def architecture_gap(state: Mapping[str, Tensor], hyper_parameters: Mapping[str, Any]) -> Gap:
    """The module that the weights belong to."""
    has = f"; hyper-parameters: {shown(hyper_parameters)}" if hyper_parameters else "; it has no hyper-parameters"
    return Gap(
        key=ARCHITECTURE,
        reason=f"the module of these {len(state)} weights ({parts(state)}): the import path of your LightningModule or "
        f"of the network in it, unet, or {TIMM_PREFIX}NAME{has}",
        example="my_package.module:MyLightningModule",
    )


def largest_part(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights behind the first name that most of them begin with: those of the network, mostly."""
    counts = Counter(key.partition(".")[0] for key in state)
    top = max(counts, key=counts.__getitem__, default="")
    return {key: tensor for key, tensor in state.items() if key.partition(".")[0] == top}


def parts(keys: Iterable[str]) -> str:
    """What names begin with, and how many each."""
    counts = Counter(key.partition(".")[0] for key in keys)
    return ", ".join(f"{count} in {name}" for name, count in counts.items())


def shown(hyper_parameters: Mapping[str, Any]) -> str:
    """Names and values on one line, long values cut."""
    texts = {key: " ".join(repr(value).split()) for key, value in hyper_parameters.items()}
    return ", ".join(
        f"{key}={text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + '...'}"
        for key, text in texts.items()
    )
