"""Progress of long work: a bar on a terminal that log lines do not tear, few log lines anywhere else."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from tasks.progress import Pace, lines
from tests.terminal import drawn, in_terminal

PLACE = "s3://archive/" + "a-long-way/" * 30 + "x.jpg"

WORK = f"""
import logging, sys
import tasks.progress
import tasks.progress_bar
from rich.console import Console

class Eager(tasks.progress_bar.Progress):
    def advance(self, *more):
        super().advance(*more)
        self.refresh()  # rich draws a few times a second

class Printer(logging.StreamHandler):  # prints by rich, as Prefect's does
    def __init__(self):
        super().__init__()
        self.console = Console(file=self.stream)
    def emit(self, record):
        self.console.print("PREFECT", record.getMessage(), soft_wrap=True)

tasks.progress_bar.Progress = Eager
handler = logging.StreamHandler()
handler.setFormatter(logging.Formatter("LOG %(message)s"))
logger, other = logging.getLogger("skinml"), logging.getLogger("prefect.flow_runs")
logger.setLevel("INFO")
logger.addHandler(handler)
other.addHandler(Printer())
with tasks.progress.progress_bar("score", 5000, "images") as advance:
    for step in range(50):
        advance(100)
        if step % 10 == 3:
            logger.info("%d {PLACE}", step)
        if step % 10 == 5:
            other.warning("retry %d", step)
        if step % 10 == 7:
            print("words", step, file=sys.stderr)
logger.info("after")
other.warning("after")
"""

EXPECTED = [
    line
    for tens in range(0, 50, 10)
    for line in (f"LOG {tens + 3} {PLACE}", f"PREFECT retry {tens + 5}", f"words {tens + 7}")
] + ["LOG after", "PREFECT after"]


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_log_lines_stand_above_the_bar_and_it_goes_at_the_end(columns: int) -> None:
    screen = in_terminal([sys.executable, "-c", WORK], columns)
    assert screen.exit_code == 0, screen.text
    assert [line for line in screen.lines if line] == EXPECTED
    assert screen.written.count("\x1b[?25h") == 1, "the cursor is shown again"
    frames = screen.written.replace("\r", "\n").split("\n")
    bars = [drawn(frame)[0] for frame in frames if "images" in frame]
    assert len(bars) >= 10
    assert max(map(len, bars)) <= columns
    middle = bars[len(bars) // 2]
    assert "/5,000 images, " in middle
    assert "/s, " in middle
    assert " left" in middle


def test_without_a_terminal_log_lines_stay_as_they_are() -> None:
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == EXPECTED
    assert done.stdout == ""


@pytest.mark.parametrize("more", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_a_terminal_without_colour_or_cursor_gets_none(more: dict[str, str]) -> None:
    screen = in_terminal([sys.executable, "-c", WORK], 100, more)
    assert [line for line in screen.lines if line] == EXPECTED
    assert "\x1b[3" not in screen.written
    assert ("\x1b" in screen.written) == ("TERM" not in more)


def test_what_is_printed_to_stdout_is_left_alone() -> None:
    """`skinml --json score | jq` at a terminal: stderr is the terminal, stdout the pipe."""
    code = (
        "from tasks.progress import progress_bar\n"
        "with progress_bar('x', 2, 'images') as advance:\n print('result')\n advance(2)"
    )
    screen = in_terminal(["sh", "-c", '"$@" | tr a-z A-Z', "sh", sys.executable, "-c", code], 80)
    assert "RESULT" in screen.text


def told(caplog: pytest.LogCaptureFixture, seconds: float, steps: int) -> list[str]:
    """What is logged of work of so many steps, one after the other, in so many seconds."""
    caplog.set_level(logging.INFO, "skinml.progress")
    logging.getLogger("skinml.progress").addHandler(caplog.handler)
    now = 0.0

    def clock() -> float:
        return now

    try:
        advance = lines("score", steps, "images", clock=clock)
        for _ in range(steps):
            now += seconds / steps
            advance(1)
    finally:
        logging.getLogger("skinml.progress").removeHandler(caplog.handler)
    return list(dict.fromkeys(caplog.messages))


def test_short_work_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, seconds=29.0, steps=1000) == []


def test_the_time_before_the_first_step_does_not_slow_the_rate() -> None:
    """30 s of loading libraries, then 3 s an epoch."""
    now = 0.0
    pace = Pace(20, clock=lambda: now)
    assert str(pace) == ""
    for step in range(10):
        now = 30.0 + 3 * step
        pace.advance(1)
    assert str(pace) == "3 s each, 30 s left"


def test_a_first_burst_is_no_rate() -> None:
    now = 0.0
    pace = Pace(4000, clock=lambda: now)
    for _ in range(2):
        now += 0.001
        pace.advance(19)
    assert str(pace).startswith("38/s, ")


def test_a_log_has_a_line_for_each_tenth(caplog: pytest.LogCaptureFixture) -> None:
    said = told(caplog, seconds=1000.0, steps=5000)
    assert said[0] == "score: 500 of 5,000 images (10 %), 5/s, 15 min 0 s left"
    assert len(said) == 10


def test_a_night_of_eight_hours_has_a_hundred_lines(caplog: pytest.LogCaptureFixture) -> None:
    said = told(caplog, seconds=8 * 3600.0, steps=20_000)
    assert 90 <= len(said) <= 110
    assert said[0].endswith("1.44 s each, 7 h 54 min left")
