"""Libraries that Keras loads for nothing: missing while it is imported, and there again afterwards."""

from __future__ import annotations

import importlib
import sys

import pytest

from skinml.models.keras_import import _missing


def test_a_library_is_missing_in_the_block_and_there_again_after_it() -> None:
    sys.modules.pop("colorsys", None)
    with _missing("colorsys"), pytest.raises(ImportError):
        importlib.import_module("colorsys")
    assert importlib.import_module("colorsys").rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)


def test_a_library_that_is_loaded_stays() -> None:
    with _missing("sys", "json"):
        assert importlib.import_module("sys") is sys
