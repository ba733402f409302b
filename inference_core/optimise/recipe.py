"""What is asked of an optimisation, and the steps that it takes for a format, in their fixed order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from inference_core.architecture_spec import Format
from inference_core.engines.table import ENGINES_OF_FORMAT
from inference_core.errors import ConfigError

GraphLevel = Literal["basic", "extended"]
Int8Kind = Literal["dynamic", "static"]
Half = Literal["weights", "graph"]
RangeMethod = Literal["minmax", "entropy", "percentile"]
StepName = Literal["fuse", "prune", "to-onnx", "graph", "int8", "half"]

GRAPH_LEVELS: tuple[GraphLevel, ...] = get_args(GraphLevel)
INT8_KINDS: tuple[Int8Kind, ...] = get_args(Int8Kind)
HALVES: tuple[Half, ...] = get_args(Half)
RANGE_METHODS: tuple[RangeMethod, ...] = get_args(RangeMethod)

Choice = TypeVar("Choice")

TO_ONNX: tuple[Format, ...] = tuple(name for name, engines in ENGINES_OF_FORMAT.items() if "torch" in engines)
"""Formats that are exported where a step works on ONNX alone."""
MODULES: tuple[Format, ...] = ("state_dict", "lightning", "timm", "huggingface", "torch_export")
"""Formats whose model torch.export captures: TorchScript and Keras's graphs are closed to it."""
TO_IR: tuple[Format, ...] = ("openvino", "savedmodel", "tflite")
"""Formats that OpenVINO writes as its own."""

FORMATS_OF_OPTION: dict[str, tuple[Format, ...]] = {
    "--fuse": MODULES,
    "--prune": (*MODULES, "onnx"),
    "--graph": ("onnx", *TO_ONNX),
    "--int8": ("onnx", *TO_ONNX),
    "--half weights": (*MODULES, "onnx", *TO_IR),
    "--half graph": ("onnx", *TO_ONNX),
}
"""Formats that an option works on, itself or after an export to ONNX."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What the user asks for; the order of the fields is that of the steps."""

    fuse: bool = False
    """Fold batch norms into the convolutions before them."""
    prune_frac: float | None = None
    """Share of the weights of convolutions and linear layers that become zero, the smallest of all layers."""
    graph: GraphLevel | None = None
    """Optimise the ONNX graph offline."""
    int8: Int8Kind | None = None
    """Quantise to 8 bits: activations scaled at run time, or once from calibration images."""
    half: Half | None = None
    """Store weights in 16 bits, or compute in them too."""
    ranges: RangeMethod = "minmax"
    """Static int8: how the range of an activation follows from the calibration images."""
    is_seven_bit: bool = False
    """Int8: weights of 7 bits, for processors whose 8-bit products saturate."""
    keep_float: tuple[str, ...] = ()
    """Names or patterns of nodes and weights that pruning, int8 and half leave as they are."""

    def options(self) -> Iterator[str]:
        """The steps asked for, as the command line calls them."""
        asked = {
            "--fuse": self.fuse,
            "--prune": self.prune_frac is not None,
            "--graph": self.graph is not None,
            "--int8": self.int8 is not None,
            f"--half {self.half}": self.half is not None,
        }
        return (option for option, is_asked in asked.items() if is_asked)


def build_recipe(
    *,
    fuse: bool = False,
    prune_frac: float | None = None,
    graph: str | None = None,
    int8: str | None = None,
    half: str | None = None,
    ranges: str = "minmax",
    is_seven_bit: bool = False,
    keep_float: tuple[str, ...] = (),
) -> Recipe:
    """A recipe of what a command line says.

    Raises:
        ConfigError: a value is none that there is, nothing is asked for, or two options exclude each other.
    """
    recipe = Recipe(
        fuse=fuse,
        prune_frac=prune_frac,
        graph=None if graph is None else one_of(graph, GRAPH_LEVELS, key="--graph"),
        int8=None if int8 is None else one_of(int8, INT8_KINDS, key="--int8"),
        half=None if half is None else one_of(half, HALVES, key="--half"),
        ranges=one_of(ranges, RANGE_METHODS, key="--ranges"),
        is_seven_bit=is_seven_bit,
        keep_float=keep_float,
    )
    check_recipe(recipe)
    return recipe


def one_of(text: str, choices: tuple[Choice, ...], *, key: str) -> Choice:
    """The choice of that name."""
    for choice in choices:
        if choice == text:
            return choice
    raise ConfigError(f"must be {' or '.join(map(str, choices))}, got {text!r}; correct it", key=key)


def check_recipe(recipe: Recipe) -> None:
    """Raise ConfigError where no step is asked for, a value is out of range or options do not go together."""
    if not any(recipe.options()):
        raise ConfigError("optimise must be given one of --fuse, --prune, --graph, --int8 and --half at least; add it")
    if recipe.prune_frac is not None and not 0 < recipe.prune_frac < 1:
        raise ConfigError(f"must lie between 0 and 1, got {recipe.prune_frac}; 0.5 zeroes half", key="--prune")
    if recipe.int8 and recipe.half:
        raise ConfigError("must go without --half, since a weight has one format; choose one", key="--int8")
    if recipe.int8 and recipe.graph == "extended":
        raise ConfigError(
            "must be basic with --int8, whose tools know standard operators alone, got 'extended'; correct it",
            key="--graph",
        )
    if recipe.keep_float and not (recipe.int8 or recipe.half == "graph"):
        raise ConfigError("must go with --int8 or --half graph, which change arithmetic; remove it", key="--keep-float")
    if recipe.is_seven_bit and not recipe.int8:
        raise ConfigError("must go with --int8, whose weights it narrows; remove it", key="--seven-bit")
    if recipe.ranges != "minmax" and recipe.int8 != "static":
        raise ConfigError("must go with --int8 static, which calibrates; remove it", key="--ranges")


def plan_steps(recipe: Recipe, *, weights_format: Format) -> tuple[StepName, ...]:
    """The steps for a package of a format, in order.

    Fusing comes first, since only then a weight's size says what it does; 8 and 16 bits come last, since nothing can
    be folded or ranked behind them. Torch's formats are exported to ONNX as late as they can be, and only where a
    step needs it.

    Raises:
        ConfigError: nothing is asked for, options exclude each other, or one does not work on the format.
    """
    check_recipe(recipe)
    for option in recipe.options():
        if weights_format not in FORMATS_OF_OPTION[option]:
            raise ConfigError(
                f"{option} must go with format {', '.join(FORMATS_OF_OPTION[option])}, got {weights_format}, with "
                f"which {works_with(weights_format)} works; change the options, or start from another format"
            )
    steps: list[StepName] = []
    if recipe.fuse:
        steps.append("fuse")
    if recipe.prune_frac is not None:
        steps.append("prune")
    if weights_format in TO_ONNX and (recipe.graph or recipe.int8 or recipe.half == "graph"):
        steps.append("to-onnx")
    if recipe.graph:
        steps.append("graph")
    if recipe.int8:
        steps.append("int8")
    if recipe.half:
        steps.append("half")
    return tuple(steps)


def works_with(weights_format: Format) -> str:
    """The options that work on a format."""
    return ", ".join(option for option, formats in FORMATS_OF_OPTION.items() if weights_format in formats) or "nothing"
