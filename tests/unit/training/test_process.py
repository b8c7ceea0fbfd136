"""Tests of skinml/training/process.py, with real processes."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from skinml.errors import RequestError, RunError
from skinml.training.process import run_in_process

Emit = Callable[[int], None]


def count_to(job: int, emit: Emit) -> str:
    print("a greeting that helps nobody")
    for number in range(job):
        emit(number)
    return f"counted to {job} in {os.getpid()}"


def leave_a_file(job: str, emit: Emit) -> str:
    handle, name = tempfile.mkstemp(job)
    os.close(handle)
    return name


def read_variable(job: str, emit: Emit) -> str | None:
    return os.environ.get(job)


def refuse(job: str, emit: Emit) -> None:
    raise RequestError(f"no architecture is called {job!r}")


def break_down(job: str, emit: Emit) -> None:
    emit(1)
    print("the last words before it broke", file=sys.stderr)
    raise ZeroDivisionError(job)


def die(job: int, emit: Emit) -> None:
    emit(os.getpid())
    os.kill(os.getpid(), job)
    time.sleep(60)


def leave(job: int, emit: Emit) -> None:
    os._exit(job)


def sleep_on(job: float, emit: Emit) -> None:
    emit(os.getpid())
    time.sleep(job)


def give_back_a_lambda(job: None, emit: Emit) -> Callable[[], None]:
    return lambda: None


def hand_the_pipe_on_and_die(job: None, emit: Emit) -> None:
    if os.fork() == 0:  # the grandchild holds the pipe open and outlives the child
        time.sleep(60)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def _is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().split(") ")[1][0] != "Z"


def _wait_until_dead(pid: int) -> bool:
    for _ in range(100):
        if not _is_alive(pid):
            return True
        time.sleep(0.1)
    return False


def test_messages_come_in_order_and_then_the_result(capfd: pytest.CaptureFixture[str]) -> None:
    messages: list[int] = []
    result = run_in_process(count_to, 200, messages.append)
    assert messages == list(range(200))
    assert result.startswith("counted to 200 in ")
    assert not result.endswith(str(os.getpid()))
    assert capfd.readouterr() == ("", "")


def test_the_environment_is_the_childs_alone() -> None:
    given = {"SKINML_TEST_VARIABLE": "jax"}
    assert run_in_process(read_variable, "SKINML_TEST_VARIABLE", lambda _: None, given) == "jax"
    assert "SKINML_TEST_VARIABLE" not in os.environ


def test_a_skinml_error_keeps_its_class_and_words() -> None:
    with pytest.raises(RequestError, match="no architecture is called 'vgg'"):
        run_in_process(refuse, "vgg", lambda _: None)


def test_any_other_error_is_a_run_error_with_its_last_line(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(RunError, match=r"^break_down failed: ZeroDivisionError: by seven$"),
    ):
        run_in_process(break_down, "by seven", lambda _: None)
    assert "in break_down" in caplog.text  # the traceback
    assert "the last words before it broke" in caplog.text


def test_a_result_that_cannot_travel_is_a_run_error() -> None:
    with pytest.raises(RunError, match=r"give_back_a_lambda failed: .*lambda"):
        run_in_process(give_back_a_lambda, None, lambda _: None)


def test_a_killed_child_is_named_by_its_signal() -> None:
    with pytest.raises(RunError, match=r"was ended by SIGKILL \(signal 9\); the system may have run out of"):
        run_in_process(die, signal.SIGKILL, lambda _: None)


def test_a_child_that_leaves_is_named_by_its_exit_code() -> None:
    with pytest.raises(RunError, match="leave: its process ended without an answer, exit code 3"):
        run_in_process(leave, 3, lambda _: None)


def test_a_grandchild_that_holds_the_pipe_does_not_hang_the_parent() -> None:
    started = time.monotonic()
    with pytest.raises(RunError, match="SIGKILL"):
        run_in_process(hand_the_pipe_on_and_die, None, lambda _: None)
    assert time.monotonic() - started < 55  # before the grandchild ends by itself


def test_the_child_ends_when_the_parent_is_interrupted() -> None:
    pids: list[int] = []

    def interrupt(pid: int) -> None:
        pids.append(pid)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in_process(sleep_on, 60.0, interrupt)
    assert not _is_alive(pids[0])


def test_the_child_ends_when_the_parent_is_killed() -> None:
    code = (
        f"from {__name__} import *\n"
        "if __name__ == '__main__': run_in_process(sleep_on, 60.0, lambda pid: print(pid, flush=True))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert _is_alive(child)
        parent.kill()
    assert _wait_until_dead(child)


def test_temporary_files_that_the_child_leaves_go_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = run_in_process(leave_a_file, "graph.py", lambda _: None)
    assert left.startswith(f"{tmp_path}{os.sep}skinml-")
    assert list(tmp_path.iterdir()) == []
