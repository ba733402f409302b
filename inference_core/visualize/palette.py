"""A colour for every class, the same in masks, overlays and charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import ImageColor

from inference_core.errors import ConfigError

Color = tuple[int, int, int]

TABLE = """
    000000 56b4e9 e69f00 009e73 f0e442 0072b2 d55e00 cc79a7 8700f0 782d0f 4b3c5a 00ff87 9678ff 3c2da5 f0004b a5d2b4
    d2c3e1 c3a54b 785a69 4b783c 871e87 a53c00 96ffb4 961ed2 f07887 c3e15a d20fb4 7896f0 5a3c3c 5ad278 a53c87 964bff
    78965a 3c5a2d b487c3 ffe1ff 78b496 d2f0d2 4b960f b4c3c3 b40f2d 96d2ff c34b87 00784b 78d22d 964bd2 c3a5d2 c35ad2
    5a00c3 a5a55a 0000ff e1e1e1 a569a5 5a2d96 87e1a5 960069 b4ff00 e187e1 a5ff78 00e169 3c87d2 2d5ae1 0f4b87 874ba5
    697869 0f3ce1 b4873c ffb496 693cb4 e15a78 b48796 87691e a5a5ff c33c5a d296b4 e1c369 f0782d e1f05a b4c34b 7869f0
    5affff 5a3cc3 96c387 ffb4ff 960f4b 3c4b0f 2d0fd2 4b4bff 1eb4b4 004b4b 006978 698796 f04b2d 0f691e 8769c3 69a5d2
    96a569 e1b42d a5b4ff ff96a5 4b5a3c 87784b f04b87 2d5a96 7800b4 3c69ff a52d5a 2d875a 69873c ffc3c3 9687ff 5a3c69
    005a4b 2df0d2 965a96 e1e187 e10f1e b40078 e15a5a f0e1a5 9678c3 9669e1 b4b4a5 a5e178 c3f0c3 d2b4e1 870f5a d2b45a
    b4b469 c3d25a 2d4b1e c3c3d2 4b693c b43c78 b4f00f d25a96 96782d 784b5a d24b69 87a52d c3b4d2 d2f069 962d96 87e13c
    1ec34b 0fa5a5 f0c33c f0d2f0 780f78 6978b4 c30f3c a5001e 5a4b78 a578e1 f0d2b4 f0e1f0 0f4ba5 a5b43c 87003c 8787b4
    3c3c78 b400e1 695a87 a57887 3c8700 69b487 a55aa5 87b478 7896d2 8796b4 f096f0 69e196 782da5 875ac3 e196c3 961e00
    2d3cb4 784bc3 a5964b ffa5c3 ff8796 b44b00 d2e14b 781ed2 5a692d ffc396 a53c69 d287a5 2dd25a 965ae1 c3b4b4 870fc3
    a587e1 78f0b4 87d2f0 690fe1 5a8778 788769 a500f0 5aa587 e187c3 5a964b 969669 5a5ab4 e1d2d2 690fd2 4b69d2 a5e1c3
    5a00b4 a54ba5 ff69f0 87d287 e178d2 f0b4f0 965a4b 5a00f0 870069 c38778 69b4c3 d2d2e1 00d2b4 1e4b69 69c369 ffa587
    b4d24b d22df0 78c378 ff87ff e1f096 5ab45a 875ab4 780f87 ff87e1 694bf0 69c3a5 6900a5 694b96 a5f078 5a78ff 78ffd2
    5a872d 78695a e1d2ff 8778d2 c300d2 4b4b2d 5a1ec3 a5c33c f0f078 d2d2a5 870f00 2d96b4 87875a 87963c c30f87 966969
"""
"""Black for the background, Okabe and Ito's colours, and 248 more that keep away from them and from each other for
every kind of colour vision, as ``choose_colors`` gives them. Sky blue comes first, since most images are warm or gray.
The first 20 are as far apart as the closest two of Okabe and Ito, the first 32 nearly so; of 256 nobody tells each from
each.

Source: Okabe & Ito, Color Universal Design, 2008.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Colours of classes. Take one from ``build_palette``."""

    colors: tuple[Color, ...]
    """By class id; later ids begin again."""
    object_offset: int = 0
    """Added to the class of an object: the first colour of the default palette is that of the background."""

    def class_color(self, class_id: int) -> Color:
        """Red, green and blue of a class of pixels."""
        return self.colors[class_id % len(self.colors)]

    def object_color(self, class_id: int) -> Color:
        """Red, green and blue of the objects of a class, which has no background before it."""
        num_objects = len(self.colors) - self.object_offset
        return self.colors[self.object_offset + class_id % num_objects]


def read_table(text: str) -> tuple[Color, ...]:
    """Colours from six hex digits each."""
    return tuple((int(word[:2], 16), int(word[2:4], 16), int(word[4:], 16)) for word in text.split())


DEFAULT_PALETTE = Palette(colors=read_table(TABLE), object_offset=1)


def build_palette(colors: Sequence[str | Color], *, num_classes: int) -> Palette:
    """A palette of one's own.

    Args:
        colors: one for each class id, that of the background too: names of CSS, ``#rrggbb``, or three numbers from 0 to
            255. None at all is the default palette.
        num_classes: how many are needed.

    Raises:
        ConfigError: there are too few, or one is no colour.
    """
    if not colors:
        return DEFAULT_PALETTE
    if len(colors) < num_classes:
        raise ConfigError(
            f"must have a colour for each of {num_classes} classes, got {len(colors)}; name "
            f"{num_classes - len(colors)} more, or leave it out for the default colours",
            key="palette",
        )
    return Palette(colors=tuple(read_color(color) for color in colors))


def read_color(color: str | Color) -> Color:
    """Red, green and blue.

    Raises:
        ConfigError: it is no colour.
    """
    try:
        values = ImageColor.getrgb(color) if isinstance(color, str) else tuple(int(value) for value in color)
    except (ValueError, TypeError) as exc:
        raise no_color(color) from exc
    if len(values) != 3 or not all(0 <= value <= 255 for value in values):
        raise no_color(color)
    return values[0], values[1], values[2]


def no_color(color: object) -> ConfigError:
    """The error of what is no colour."""
    return ConfigError(
        f"must hold names of CSS, #rrggbb or three numbers from 0 to 255, got {color!r}; correct it", key="palette"
    )


def class_palette(num_classes: int) -> list[int]:
    """768 palette bytes of a mask file: black and white for two classes, distinct colours for more."""
    black_and_white = ((0, 0, 0), (255, 255, 255))
    colors = black_and_white if num_classes == 2 else DEFAULT_PALETTE.colors
    return [channel for color in colors for channel in color] + [0] * (768 - 3 * len(colors))


def class_color(class_id: int) -> Color:
    """The default colour of a class of pixels; 0, the background of masks, is black."""
    return DEFAULT_PALETTE.class_color(class_id)


def object_color(class_id: int) -> Color:
    """The default colour of the objects of a class: never black."""
    return DEFAULT_PALETTE.object_color(class_id)
