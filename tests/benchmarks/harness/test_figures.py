"""What is said of raw times: rates, and whether a promise is kept."""

from __future__ import annotations

import pytest

from benchmarks.harness import figures


def test_a_system_is_judged_by_the_median_of_its_slopes() -> None:
    record = {"title": "a peer", "images": [100, 300], "seconds": [[1.0, 1.0, 9.0], [2.0, 3.0, 5.0]]}
    found = figures.speed({**record, "error": None})
    assert found.rate == pytest.approx(150)  # 200 a second, 100 a second, and one that noise ate
    assert found.slowest == pytest.approx(100)
    assert found.fastest == pytest.approx(200)
    assert found.startup == pytest.approx(0.5)


def test_a_promise_is_kept_at_its_bound_and_not_beyond() -> None:
    assert figures.at_least("x", 2.5, 2.5).met
    assert not figures.at_least("x", 2.5, 2.4).met
    assert figures.at_most("x", 2.5, 2.5, "s").met
    assert not figures.at_most("x", 2.5, 2.6, "s").met
