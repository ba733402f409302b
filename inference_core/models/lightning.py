"""Read a checkpoint of Lightning: the weights' part of it, and hyper-parameters as options of the architecture.

Lightning itself is not needed, but where the user's own module is.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from inference_core.architecture_spec import ArchitectureSpec
from inference_core.errors import ConfigError, ModelError
from inference_core.hooks.package_code import NO_CODE, PackageCode
from inference_core.models.architectures import build_architecture, find_factory
from inference_core.models.checkpoint import Checkpoint, load_into, read_checkpoint, shown
from inference_core.models.prefix import fit_names

if TYPE_CHECKING:
    from torch import nn

STATE_DICT, HYPER_PARAMETERS, HYPER_PARAMETERS_NAME = "state_dict", "hyper_parameters", "hparams_name"
"""Keys of a checkpoint, as ``pytorch_lightning`` has written them since 1.0."""

HYPER_PARAMETERS_KEY = "architecture.hyper_parameters"


class HyperParameters(dict[str, Any]):
    """By name and by attribute: modules that take them as one object read them in either way."""

    def __getattr__(self, name: str) -> Any:
        """The hyper-parameter called ``name``."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def load_lightning(
    data: bytes, *, name: str, architecture: ArchitectureSpec, code: PackageCode = NO_CODE
) -> tuple[nn.Module, tuple[str, ...]]:
    """The module with the checkpoint's weights, and notes of what was removed and left out.

    Raises:
        ConfigError: the architecture cannot be built, hyper-parameters are missing or do not fit, or the prefix is
            not clear.
        ModelError: the file is no checkpoint of Lightning, needs code that is not run, or does not fit.
    """
    checkpoint = read_lightning(data, name=name)
    options, notes = merge_options(architecture, checkpoint.content, name=name, code=code)
    module = build_architecture(architecture.model_copy(update={"options": options}), code=code)
    state, fit_notes = fit_names(
        checkpoint.state,
        expected=module.state_dict(),
        name=name,
        prefix=architecture.prefix,
        may_leave_out=True,
    )
    load_into(module, state, name=name)
    return module, (*checkpoint.notes, *notes, *fit_notes)


def read_lightning(data: bytes, *, name: str) -> Checkpoint:
    """A checkpoint with its ``state_dict``.

    Raises:
        ModelError: it is none of Lightning.
    """
    checkpoint = read_checkpoint(data, name=name)
    if not isinstance(checkpoint.content.get(STATE_DICT), Mapping):
        raise ModelError(
            f"weights must be a checkpoint of Lightning, got {name} without 'state_dict' (it has "
            f"{shown(sorted(map(str, checkpoint.content)), 'other')}); use format state_dict"
        )
    return checkpoint


def hyper_parameters_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """What ``save_hyperparameters`` kept, by name; {} where it was not called."""
    found = content.get(HYPER_PARAMETERS)
    if isinstance(found, argparse.Namespace):
        return dict(vars(found))
    return {str(key): value for key, value in found.items()} if isinstance(found, Mapping) else {}


def merge_options(
    architecture: ArchitectureSpec, content: Mapping[str, Any], *, name: str, code: PackageCode = NO_CODE
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Options on top of the hyper-parameters that the architecture asks for, and notes of those it has no use for.

    ``true`` takes those that the factory names, as Lightning does on loading; where they were kept as one object
    (``save_hyperparameters(hparams)``) and the factory takes that, it gets one object.

    Raises:
        ConfigError: the checkpoint has none, or not those that are listed.
    """
    wanted = architecture.hyper_parameters
    if wanted is False:
        return dict(architecture.options), ()
    found = hyper_parameters_of(content)
    if not found:
        raise ConfigError(
            f"must be false with {name}, which holds none (save_hyperparameters was not called); give "
            "architecture.options",
            key=HYPER_PARAMETERS_KEY,
        )
    if not isinstance(wanted, bool):
        missing = sorted(set(wanted) - set(found))
        if missing:
            raise ConfigError(
                f"must be among those of {name} ({', '.join(sorted(found))}), got {', '.join(missing)}; correct them",
                key=HYPER_PARAMETERS_KEY,
            )
        return {key: found[key] for key in wanted} | architecture.options, ()
    names, takes_any = option_names(find_factory(architecture, code=code))
    whole = content.get(HYPER_PARAMETERS_NAME)
    if whole != "kwargs" and whole in names:
        return {str(whole): HyperParameters(found)} | architecture.options, ()
    used = found if takes_any else {key: value for key, value in found.items() if key in names}
    unused = sorted(set(found) - set(used))
    notes = (f"{name}: hyper-parameters that the architecture does not take: {', '.join(unused)}",) if unused else ()
    return used | architecture.options, notes


def option_names(factory: Callable[..., Any]) -> tuple[set[str], bool]:
    """Names of a factory's parameters, and whether it takes any other."""
    parameters = inspect.signature(factory).parameters.values()
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {parameter.name for parameter in parameters if parameter.kind in named}, takes_any
