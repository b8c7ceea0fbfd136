"""Peers that prepare: each gives all pixels, and pixels that are not what they should be are found out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.harness import measure
from benchmarks.harness.agreement import OutputError, psnr
from benchmarks.harness.inputs import KINDS, Input
from benchmarks.harness.systems import LIMIT, US, System, scaled, systems_on
from benchmarks.prepare.agreement import check
from benchmarks.prepare.systems import SYSTEMS, command
from tests.conftest import REPOSITORY

BY_NAME = {system.name: system for system in SYSTEMS}
HERE = {"limit", "multiprocessing", "multiprocessing_draft", "full_decode", "thesis"}
"""Systems that need nothing beyond what tests have, and start quickly."""


@pytest.mark.parametrize("system", [one for one in SYSTEMS if one.name in HERE], ids=lambda one: one.name)
def test_a_peer_gives_all_pixels(system: System, given: Input, tmp_path: Path) -> None:
    out = tmp_path / "pixels.npy"
    program = command(system, "q75", given, str(given.images), out, 64)
    measure.run(program, dict(os.environ), REPOSITORY, tmp_path / "log")
    if system.name == LIMIT:
        assert out.read_text(encoding="ascii") == "12"
        assert check(out, system, given, 64) == {}
        out.write_text("11", encoding="ascii")
        with pytest.raises(OutputError, match="every image"):
            check(out, system, given, 64)
    else:
        assert check(out, system, given, 64)["psnr_db"] > 35


def test_pixels_that_are_missing_or_of_something_else_are_found_out(given: Input, tmp_path: Path) -> None:
    out, system = tmp_path / "pixels.npy", BY_NAME["thesis"]
    right = np.stack([np.asarray(Image.open(file).resize((64, 64))) for file in given.files()])
    np.save(out, right)
    assert check(out, system, given, 64) == {"psnr_db": 99.0}
    np.save(out, right[:-1])
    with pytest.raises(OutputError, match="11, 64, 64, 3"):
        check(out, system, given, 64)
    np.save(out, right[::-1])
    with pytest.raises(OutputError, match="dB"):
        check(out, system, given, 64)
    assert psnr(right[0], right[0]) == 99.0


def test_every_peer_of_the_table_is_there_and_a_trial_still_has_two_sizes() -> None:
    modules = {one.module for one in SYSTEMS if one.module} | {"common", "__init__"}
    assert modules == {path.stem for path in (REPOSITORY / "benchmarks/prepare/peers").glob("*.py")}
    assert len(BY_NAME) == len(SYSTEMS)
    assert {LIMIT, US} <= set(BY_NAME)
    for kind in KINDS:
        assert {one.name for one in systems_on(kind, SYSTEMS)} == set(BY_NAME) - {"s3fs"}
    assert {one.name for one in systems_on("bucket", SYSTEMS)} == {US, "s3fs"}
    for system in SYSTEMS:
        for sizes in system.sizes.values():
            assert sizes == scaled(sizes, 1.0)
            small, large = scaled(sizes, 0.001)
            assert 8 <= small < large
