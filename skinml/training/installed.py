"""Check that the libraries for training are installed, without the seconds that importing them takes."""

from __future__ import annotations

import os
from importlib.util import find_spec

from skinml.errors import RequestError

NEEDED = ("keras", "sklearn", "matplotlib")
"""Modules of the extra `train` that every fit needs."""

NEEDED_TO_EXPORT = ("tensorflow", "onnx", "tf2onnx")
"""Those that export the network to ONNX, whatever backend fits it. On another backend than TensorFlow a machine
without them may fit; one that has them exports."""

NEEDED_TO_JUDGE = ("sklearn", "scipy", "matplotlib")
"""Modules of the extra `train` that measure and draw."""

BACKENDS = ("tensorflow", "jax", "torch")
"""Keras backends that can fit; each is called as its module is."""


def check_installed() -> None:
    """Refuse to train if something is missing. What only the export needs may be missing on other backends.

    Raises:
        RequestError: a module of the extra `train` is not installed, or the one that KERAS_BACKEND names.
    """
    backend = os.environ.get("KERAS_BACKEND") or BACKENDS[0]
    needed = (*NEEDED, *NEEDED_TO_EXPORT) if backend == BACKENDS[0] else NEEDED
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise RequestError(f"train needs {', '.join(missing)}, not installed here: pip install 'skinml[train]'")
    if backend not in BACKENDS:
        raise RequestError(f"KERAS_BACKEND={backend} cannot train: set it to one of {', '.join(BACKENDS)}")
    if find_spec(backend) is None:
        raise RequestError(f"KERAS_BACKEND={backend}: not installed here: pip install {backend}, or unset it")


def check_can_search() -> None:
    """Refuse to search where keras-tuner is missing.

    Raises:
        RequestError: it is not installed.
    """
    if find_spec("keras_tuner") is None:
        raise RequestError("search needs keras_tuner, not installed here: pip install 'skinml[train,search]'")


def check_can_judge(verb: str) -> None:
    """Refuse a verb that measures and draws where scikit-learn, SciPy or matplotlib is missing.

    Raises:
        RequestError: one of them is not installed.
    """
    missing = [name for name in NEEDED_TO_JUDGE if find_spec(name) is None]
    if missing:
        raise RequestError(
            f"{verb} needs {', '.join(missing)}, not installed here: pip install 'skinml[train]'"
        )
