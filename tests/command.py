"""The command line as tests call it: in this process, with exit code, JSON and what it said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from flows.cli.main import main
from flows.cli.verbs import VERBS


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
            assert any(result.keys() >= {*verb.prints} for verb in verbs), "the contract's keys"
        return Answer(code, result, printed.out, printed.err)
