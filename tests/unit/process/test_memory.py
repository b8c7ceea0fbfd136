"""Tests of skinml/process/memory.py: garbage goes, and what stays for good is not looked at again and again."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

from skinml.process.memory import release_memory


class Node:
    """Something that can hold itself."""

    def __init__(self) -> None:
        self.itself = self


def test_what_holds_itself_is_collected() -> None:
    gc.disable()
    try:
        seen = weakref.ref(Node())
        assert seen() is not None
        release_memory()
        assert seen() is None
    finally:
        gc.enable()


def test_libraries_are_set_aside_once_and_nothing_that_comes_later() -> None:
    release_memory()
    before = gc.get_freeze_count()
    kept = [Node() for _ in range(1_000)]
    release_memory()
    assert before > 10_000
    assert gc.get_freeze_count() <= before
    assert len(kept) == 1_000


def test_nothing_is_left_when_the_process_ends() -> None:
    """DuckDB's binding counts what is left of its own then, and would say so."""
    script = """
import duckdb
from skinml.process.memory import release_memory
duckdb.connect().sql("SELECT 1").fetchall()
release_memory()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
