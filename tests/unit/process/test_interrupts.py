"""Tests of skinml/process/interrupts.py, in processes of their own that get real signals."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RAISED = """
import sys, time
from skinml.process import interrupts
try:
    with interrupts.raised():
        print("ready", flush=True)
        while True:
            time.sleep(60)
except interrupts.Interrupted as error:
    print(error, flush=True)
    time.sleep({last_words})
    sys.exit(error.exit_code)
"""

LEAVE = """
import multiprocessing
from skinml.process import interrupts
held = multiprocessing.get_context("spawn").Lock()
interrupts.leave(15)
"""

DEFERRED = """
import os, signal
from skinml.process import interrupts
try:
    with interrupts.raised():
        with interrupts.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            print("went on", flush=True)
        print("not reached", flush=True)
except interrupts.Interrupted as error:
    print(error, flush=True)
"""


def start(program: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_is_an_exception_with_the_exit_code_of_shells(number: int, code: int) -> None:
    with start(RAISED.format(last_words=0)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == f"ended by {signal.Signals(number).name}\n"
    assert process.returncode == code


def test_a_second_signal_does_not_disturb_the_last_words() -> None:
    with start(RAISED.format(last_words=1)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "ended by SIGINT\n"
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert process.stderr.read() == ""
    assert process.returncode == 130


def test_a_process_that_does_not_end_in_order_is_ended() -> None:
    start_time = time.monotonic()
    with start(RAISED.format(last_words=600)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "ended by SIGTERM\n"
    assert process.returncode == 143
    assert time.monotonic() - start_time < 60


def test_semaphores_are_given_back_without_a_word() -> None:
    """Python's resource tracker outlives the process and shares its stderr, which is read until both ended."""
    with start(LEAVE) as process:
        assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 143


def test_what_is_ignored_stays_ignored() -> None:
    """Below nohup, a terminal that is closed ends nothing."""
    program = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + RAISED.format(last_words=0)
    with start(program) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "ended by SIGTERM\n"


def test_a_deferred_signal_comes_when_the_block_has_ended() -> None:
    done = subprocess.run([sys.executable, "-c", DEFERRED], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["went on", "ended by SIGTERM"], done.stderr


def test_nothing_is_changed_outside_the_block(tmp_path: Path) -> None:
    from skinml.process import interrupts

    before = [signal.getsignal(number) for number in interrupts.SIGNALS]
    with interrupts.raised(), interrupts.deferred():
        assert signal.getsignal(signal.SIGTERM) is not before[1]
    assert [signal.getsignal(number) for number in interrupts.SIGNALS] == before
