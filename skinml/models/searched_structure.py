"""The structure of a network that `search` can find: as text, as numbers, and its size. Loads no Keras.

The space is that of AutoKeras's `ConvBlock` and `ClassificationHead` (autokeras 3.0.0, `blocks/basic.py` and
`blocks/heads.py`), with two values more, so that the thesis's network lies in it: dropout 0.3, and a dense
layer of 32 without activation.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from skinml.errors import RequestError
from skinml.labels import DIAGNOSES
from skinml.strict_json import printable

NAME = "searched-cnn"
"""What versions of such a network are called."""

MILLION = 1e6

SIZE = 32
"""Edge of the input in px, as the thesis has it."""

Reduction = Literal["flatten", "mean", "max"]

KERNELS = (3, 5, 7)
MOST_BLOCKS, MOST_LAYERS, MOST_FILTERS = 3, 2, 512


@dataclass(frozen=True)
class Structure:
    """One network of the space.

    Attributes:
        filters: of each convolution, block by block: 1 to 3 blocks of 1 or 2 convolutions.
        kernel: edge of every convolution; a pooling has an edge of one less.
        separable: whether the convolutions are depthwise separable.
        pooling: whether each block ends with a maximum pooling.
        dropout: fraction dropped after each block, 0 to less than 1.
        reduction: what makes a vector of the last map.
        dense: units of a dense layer without activation before the last one; 0: none.
        head_dropout: fraction dropped before the dense layers.
        normalise: mean and standard deviation of red, green and blue, each 0 to 1, that are taken out after the
            scaling; empty: pixels are only divided by 255.
    """

    filters: tuple[tuple[int, ...], ...]
    kernel: int = 3
    separable: bool = False
    pooling: bool = True
    dropout: float = 0.0
    reduction: Reduction = "flatten"
    dense: int = 0
    head_dropout: float = 0.0
    normalise: tuple[float, ...] = ()

    def __str__(self) -> str:
        """The structure as `parse_structure` reads it: `filters=256-128-64,kernel=3,...`."""
        return ",".join(f"{field.name}={_shown(getattr(self, field.name))}" for field in fields(self))


THESIS = Structure(filters=((256,), (128,), (64,)), dropout=0.3, dense=32)
"""The thesis's own network, as AutoKeras gave it to the thesis."""


def is_searched(model: str) -> bool:
    """Whether a model's name is that of such a network, with or without a structure."""
    return model.partition(":")[0] == NAME


def parse_structure(text: str) -> Structure:
    """Read a structure; what it does not name has its default.

    Raises:
        RequestError: it is none of this space, in one line that names the value.

    Example:
        >>> parse_structure("filters=32+64-128,kernel=5").filters
        ((32, 64), (128,))
    """
    values: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name not in _READ or name in values:
            raise _refused(text, f"{name!r} is {'there twice' if name in values else 'no part of it'}")
        try:
            values[name] = _READ[name](value)
        except ValueError as error:
            raise _refused(text, f"{name}={value} is not possible") from error
    if "filters" not in values:
        raise _refused(text, "it names no filters")
    return Structure(**values)


def _refused(text: str, problem: str) -> RequestError:
    return RequestError(
        f"{NAME} with the structure {printable(text)!r}: {printable(problem)}; give one that skinml search"
        " found, such as filters=256-128-64,kernel=3, or upgrade skinml if a later version found it"
    )


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        if value and isinstance(value[0], tuple):
            return "-".join("+".join(map(str, block)) for block in value)
        return "/".join(f"{one:g}" for one in value) or "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _filters(text: str) -> tuple[tuple[int, ...], ...]:
    if not re.fullmatch(r"\d{1,4}([-+]\d{1,4})*", text):
        raise ValueError(text)
    blocks = tuple(tuple(map(int, block.split("+"))) for block in text.split("-"))
    sizes = [filters for block in blocks for filters in block]
    if len(blocks) > MOST_BLOCKS or max(map(len, blocks)) > MOST_LAYERS:
        raise ValueError(text)
    if not (min(sizes) >= 1 and max(sizes) <= MOST_FILTERS):
        raise ValueError(text)
    return blocks


def _one_of(*known: Any) -> Any:
    """A reader of one of these values, by the text that `_shown` makes of it."""
    by_text = {_shown(one): one for one in known}

    def read(text: str) -> Any:
        if text not in by_text:
            raise ValueError(text)
        return by_text[text]

    return read


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise ValueError(text)
    return value


def _normalise(text: str) -> tuple[float, ...]:
    if text == "no":
        return ()
    values = tuple(map(float, text.split("/")))
    if len(values) != 6 or not all(0 <= value <= 1 for value in values) or min(values[3:]) < 0.001:
        raise ValueError(text)
    return values


_READ: dict[str, Any] = {
    "filters": _filters,
    "kernel": _one_of(*KERNELS),
    "separable": _one_of(False, True),
    "pooling": _one_of(False, True),
    "dropout": _fraction,
    "reduction": _one_of(*get_args(Reduction)),
    "dense": _one_of(*range(513)),
    "head_dropout": _fraction,
    "normalise": _normalise,
}
"""How each part is read from its text."""


def padding(edge: int, window: int) -> Literal["valid", "same"]:
    """How a window of this edge moves over a map of this edge: as in AutoKeras, it may not use up the map."""
    return "valid" if window * 2 <= edge else "same"


def _after(edge: int, window: int, stride: int = 1) -> int:
    if padding(edge, window) == "valid":
        return (edge - window) // stride + 1
    return math.ceil(edge / stride)


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes:
        parameters: weights and biases.
        multiply_adds: multiplications (each with its addition) for one image, in convolutions and dense layers.
    """

    parameters: int
    multiply_adds: int


def cost(structure: Structure) -> Cost:
    """The size of a network, from its structure alone.

    Example:
        >>> cost(THESIS)
        Cost(parameters=384455, multiply_adds=57248992)
    """
    edge, channels, parameters, operations = SIZE, 3, 0, 0
    window = structure.kernel**2
    for block in structure.filters:
        for filters in block:
            edge = _after(edge, structure.kernel)
            weights = channels * (window + filters) if structure.separable else channels * window * filters
            parameters += weights + filters
            operations += edge * edge * weights
            channels = filters
        if structure.pooling:
            edge = _after(edge, structure.kernel - 1, structure.kernel - 1)
    width = channels * (edge * edge if structure.reduction == "flatten" else 1)
    for units in [*([structure.dense] if structure.dense else []), len(DIAGNOSES)]:
        parameters += (width + 1) * units
        operations += width * units
        width = units
    return Cost(parameters, operations)
