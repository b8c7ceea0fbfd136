"""Import Keras without the libraries that it loads for parts which nothing here uses."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

UNUSED = ("IPython", "matplotlib", "sklearn")
"""Keras loads these, if they are installed, for notebooks, galleries of images and wrappers of scikit-learn.
They take 2.0 of the 6.8 s of CPU time of its import, with Keras 3.15 on TensorFlow (`make bench-start`)."""


def import_keras() -> Any:
    """Keras, with TensorFlow's start-up chatter turned down; only errors are worth a line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _missing(*UNUSED):
        import keras

    return keras


@contextmanager
def _missing(*names: str) -> Iterator[None]:
    """Let imports of these libraries fail in the block, as if they were not installed.

    A library that is loaded already costs nothing and stays.
    """
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
