"""Whole programs are measured, and the arithmetic of slopes and exponents is right."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.harness import measure


def test_the_slope_is_what_one_more_image_costs_and_startup_what_none_costs() -> None:
    small, large = (100, 3.0), (1_100, 5.0)
    assert measure.seconds_per_image(small, large) == pytest.approx(0.002)
    assert measure.startup_seconds(small, large) == pytest.approx(2.8)
    assert measure.rate(0.002) == pytest.approx(500)
    with pytest.raises(ValueError, match="small"):
        measure.seconds_per_image(large, small)


def test_a_slope_that_noise_ate_is_no_rate() -> None:
    assert measure.rate(0.0) is None
    assert measure.rate(-0.001) is None
    assert measure.median([None, 5.0, 7.0]) == 6.0
    assert measure.median([None, None, 5.0]) is None
    assert measure.median([]) is None


@pytest.mark.parametrize("power", [0.5, 1.0, 1.03, 2.0])
def test_the_exponent_of_a_power_of_n_is_that_power(power: float) -> None:
    counts = [1_000, 3_000, 10_000, 50_000]
    assert measure.exponent(counts, [3 + 0.001 * n**power for n in counts]) == pytest.approx(power, abs=0.001)
    assert measure.exponent(counts[:3], [1.0, 2.0, 3.0]) is None


def test_a_program_is_measured_and_one_that_fails_says_why(tmp_path: Path) -> None:
    environment = dict(os.environ)
    good = [sys.executable, "-c", "import time; time.sleep(0.3); print('done')"]
    measured = measure.run(good, environment, tmp_path, tmp_path / "log", memory=True)
    assert measured.stdout == "done\n"
    assert measured.seconds > 0.3
    assert (measured.driver_mb or 0) > 1  # on Linux
    assert measured.worker_mb is None
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(0.5)'])"
    measured = measure.run([sys.executable, "-c", parent], environment, tmp_path, tmp_path / "log", memory=True)
    assert (measured.worker_mb or 0) > 1
    bad = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    with pytest.raises(measure.ProgramError, match="no such thing"):
        measure.run(bad, environment, tmp_path, tmp_path / "log")
