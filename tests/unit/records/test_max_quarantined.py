"""Tests of skinml/records/max_quarantined.py: how many bad images a run may have, and what is said of more."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest

from skinml.errors import RunError
from skinml.records.max_quarantined import COLUMNS, check_quarantined


def rows() -> pa.Table:
    return pa.Table.from_pylist(
        [dict(zip(COLUMNS, ("file:///a.jpg", "e", "empty", "0 bytes, gone"), strict=True))]
    )


@pytest.mark.parametrize(
    ("bad", "done", "most"), [(0, 0, 0.2), (2, 8, 0.2), (0, 9, 0.0), (5, 0, 1.0), (1, 0, 0.2)]
)
def test_up_to_the_fraction_nothing_is_read_or_written(
    bad: int, done: int, most: float, tmp_path: Path
) -> None:
    def unread() -> pa.Table:
        raise AssertionError

    check_quarantined(str(tmp_path), "run", Counter({"empty": bad}), done, most, unread)
    assert not any(tmp_path.iterdir())


def test_above_it_the_run_fails_and_names_the_images(tmp_path: Path) -> None:
    reasons = Counter({"empty": 1, "no_metadata": 2})
    with pytest.raises(RunError) as failure:
        check_quarantined(str(tmp_path), "run", reasons, 7, 0.2, rows, "give more")
    report = tmp_path / "reports" / "run" / "quarantined.csv"
    assert str(failure.value) == (
        "3 of 10 new images (30%) cannot be used (2 no_metadata, 1 empty), more than --max-quarantined 20%: "
        f"nothing was committed; {report} lists them; give more"
    )
    assert pyarrow.csv.read_csv(report).to_pylist() == rows().to_pylist()


def test_a_single_image_stops_the_run_if_none_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="1 of 10 new images"):
        check_quarantined(str(tmp_path), "run", Counter({"empty": 1}), 9, 0.0, rows)


def test_failures_that_are_in_quarantine_do_not_count_again(tmp_path: Path) -> None:
    failed = pa.Table.from_pylist(
        [{"uri": f"file:///{n}", "etag": "e", "reason": "read_error", "detail": ""} for n in range(5)]
    )
    reasons = Counter({"read_error": 5})
    check_quarantined(str(tmp_path), "run", reasons, 0, 0.2, lambda: failed, known=lambda: failed)
    with pytest.raises(RunError, match=r"2 of 2 new images \(100%\) cannot be used \(2 read_error\)"):
        check_quarantined(
            str(tmp_path), "run", reasons, 0, 0.2, lambda: failed, known=lambda: failed.slice(0, 3)
        )
