"""The command line as tests call it: in this process, with exit code, JSON and what it said."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from flows.cli.main import main
from flows.cli.verbs import VERBS, Verb, imported
from tasks.ending import ends_of


@dataclass(frozen=True)
class Answer:
    """What one call of the command line gave back."""

    code: int
    result: dict[str, Any]
    stdout: str
    stderr: str


class CommandLine:
    """Calls `skinml --json ...` and reads what it printed."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: object, expect: int = 0) -> Answer:
        self._capture.readouterr()
        code = main(["--json", *map(str, arguments)])
        printed = self._capture.readouterr()
        assert code == expect, printed.err
        result = json.loads(printed.out.splitlines()[-1]) if code == 0 else {}
        if code == 0:
            verbs = [verb for verb in VERBS if verb.name in map(str, arguments)]
            fitting = [verb for verb in verbs if result.keys() >= {*verb.prints}]
            assert fitting, "the contract's keys"
            _check_state(fitting, result)
        return Answer(code, result, printed.out, printed.err)


def _check_state(verbs: list[Verb], result: dict[str, Any]) -> None:
    """What Prefect would be told of the result: one line that names no place and no image."""
    for flow in (imported(verb.entry) for verb in verbs if verb.as_flow):
        ends = ends_of(flow)
        assert ends is not None
        state = ends.completed(result)
        assert state.message
        assert not re.search(r"://|(?<!\w)/\w|\.jpg|\n", state.message), state.message
