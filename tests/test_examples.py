"""The examples in docstrings run, and the functions that users call from Python have one."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import skinml

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

NEED_TRAINING = ("skinml.training", "skinml.models.zoo", "skinml.report")
"""Packages that load Keras or matplotlib: they have no examples, and importing them takes seconds."""

PUBLIC = (
    "skinml.labels.encode",
    "skinml.labels.malignant_probability",
    "skinml.tables.read.read",
    "skinml.tables.read.scan",
    "skinml.records.export.export_scores",
    "skinml.images.decode.decode",
    "skinml.images.load.load_images",
    "skinml.images.quality.measure",
    "skinml.storage.listing.list_images",
    "skinml.storage.urls.normalise",
    "skinml.storage.urls.file_uri",
    "skinml.storage.urls.file_path",
    "skinml.storage.urls.image_id",
    "skinml.dataset.metadata.parse_metadata",
    "skinml.dataset.diagnosis_names.class_of",
    "skinml.dataset.splits.split_of",
    "skinml.monitoring.health.stability_index",
    "skinml.lab.synth.archive.make_archive",
    "skinml.evaluation.metrics.measure",
    "skinml.evaluation.intervals.measure_with_intervals",
    "skinml.evaluation.metrics.confusion_matrix",
    "skinml.evaluation.metrics.area_under_curve",
    "skinml.evaluation.intervals.paired_lesion_bootstrap",
)
"""What a user's own script or notebook calls: each must have an example."""


def modules() -> Iterator[str]:
    for found in pkgutil.walk_packages(skinml.__path__, "skinml."):
        if not found.name.startswith(NEED_TRAINING):
            yield found.name


def examples_of(module: ModuleType) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder().find(module) if test.examples]


def with_examples() -> list[str]:
    """Modules whose source has an example: others are not imported here."""
    names = []
    for name in modules():
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        if ">>> " in Path(spec.origin).read_text(encoding="utf-8"):
            names.append(name)
    return names


@pytest.mark.parametrize("name", with_examples())
def test_the_examples_of_a_module_run(name: str) -> None:
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    tests = examples_of(module)
    assert tests, f"{name} has >>> outside a docstring of its own"
    for test in tests:
        output: list[str] = []
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = runner.run(test, out=output.append)
        assert not result.failed, "".join(output)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_function_that_users_call_has_an_example(name: str) -> None:
    place, _, function = name.rpartition(".")
    found = getattr(importlib.import_module(place), function)
    assert doctest.DocTestParser().get_examples(inspect.getdoc(found) or "")


def test_an_example_that_is_wrong_is_found() -> None:
    """The options above must not let everything pass."""
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(test, out=lambda _: None).failed == 1
