"""The architectures by name. To add one, add a file with an `ARCHITECTURE` to this folder.

Names and sizes are looked up without loading Keras; only `build()` imports it. Models are made of `keras`
layers alone, so every Keras backend can train them.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from skinml.errors import RequestError
from skinml.images.choices import DecodeMode
from skinml.images.preprocessing import Preprocessing, preprocessing_for
from skinml.models.manifest import LARGEST_SIZE
from skinml.models.searched_structure import is_searched
from skinml.models.zoo.base import Architecture

DEFAULT = "thesis-cnn"
"""The architecture that `train` fits and `prepare` makes pixels for, where none is named."""


def discover() -> dict[str, Architecture]:
    """Every architecture by name: the `ARCHITECTURE` of each file in this folder, but of `base`.

    Folders such as `families` hold what several architectures share.

    Raises:
        ValueError: two files have an architecture of the same name.

    """
    found: dict[str, Architecture] = {}
    files = (entry.name for entry in iter_modules(__path__) if entry.name != "base" and not entry.ispkg)
    for module in sorted(files):
        entry: Architecture = import_module(f"{__name__}.{module}").ARCHITECTURE
        if entry.name in found:
            raise ValueError(
                f"{module}.py: the zoo has an architecture {entry.name!r} already; name it otherwise"
            )
        found[entry.name] = entry
    return found


ARCHITECTURES = discover()
"""Every architecture, by name."""


def architecture(name: str) -> Architecture:
    """The architecture of this name.

    `searched-cnn:` and a structure name a network that `search` found.

    Raises:
        RequestError: there is none, and the known ones are listed; or its file gives it an image size that its
            network cannot take.

    """
    if is_searched(name):
        from skinml.models.searched_cnn import searched_architecture  # which imports this package

        return searched_architecture(name)
    if name not in ARCHITECTURES:
        raise RequestError(f"no architecture is called {name!r}; known: {', '.join(sorted(ARCHITECTURES))}")
    shape = ARCHITECTURES[name]
    if not shape.smallest <= shape.size <= LARGEST_SIZE:
        raise RequestError(
            f"{name} reads images of {shape.size} px, but its network takes {shape.smallest} to {LARGEST_SIZE}"
            " px: change `size` in its file in skinml/models/zoo"
        )
    return shape


def input_size(name: str | None, size: int | None) -> int:
    """The edge in px of the pixels to make: what this architecture (or the default one) reads, or `size`.

    Raises:
        RequestError: there is no such architecture, or it reads another size than the given one.

    """
    reads = architecture(name or DEFAULT).size
    if name is not None and size not in {None, reads}:
        raise RequestError(f"--size {size} contradicts --for {name}, which reads {reads} px: give one of them")
    return size or reads


def pixels_for(name: str | None, size: int | None, mode: DecodeMode) -> Preprocessing:
    """How pixels are made for an architecture (or the default one), at `size` px where that is given.

    They are converted to sRGB where they are not to be Pillow's own pixels (`exact`).

    Raises:
        RequestError: as `input_size`.

    """
    edge, shape = input_size(name, size), architecture(name or DEFAULT)
    return preprocessing_for(edge, mode, shape.normalisation, shape.aspect)
