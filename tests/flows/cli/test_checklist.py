"""Tests of flows/cli/checklist.py: nothing is cut, and how to mend it stands below what is wrong."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from flows.cli.checklist import checklist, is_checklist

ROWS = [
    {"check": "disk", "state": "ok", "detail": "47 GiB free", "mend": ""},
    {
        "check": "scheduling",
        "state": "failed",
        "detail": "score-nightly: the schedule is active, but the server has scheduled no run at all",
        "mend": 'skinml up, or prefect deploy --prefect-file "$(python -m deployments)" --all',
    },
]


@pytest.mark.parametrize("width", [60, 90, 200])
def test_every_word_is_there_in_the_order_of_the_checks(width: int) -> None:
    lines = [line.plain for line in checklist(ROWS, width)]
    assert lines[0].split() == ["ok", "disk", "47", "GiB", "free"]
    words = " ".join(" ".join(lines[1:]).replace(" > ", " ").split())
    assert words == f"failed scheduling {ROWS[1]['detail']} {ROWS[1]['mend']}"
    assert max(map(cell_len, lines)) <= width


def test_only_checks_are_shown_so() -> None:
    assert is_checklist(ROWS)
    assert not is_checklist([])
    assert not is_checklist([{"check": "disk", "state": "ok"}])
