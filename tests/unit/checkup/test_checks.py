"""Tests of skinml/checkup/checks.py: a check that breaks or hangs stops nothing."""

from __future__ import annotations

import threading

from skinml.checkup.checks import Finding, failed, ok, run_checks, warning, worst
from skinml.errors import RequestError


def test_every_check_gives_a_row_whatever_it_does() -> None:
    never = threading.Event()

    def refused() -> Finding:
        raise RequestError("workspace /x: you may not write to /x; change its permissions")

    def broken() -> Finding:
        raise ZeroDivisionError("https://user:a-secret@host/")

    class Panic(BaseException):
        """As obstore's."""

    def panics() -> Finding:
        raise Panic

    def hangs() -> Finding:
        never.wait()
        return ok("")

    checks = {
        "fine": lambda: ok("all\nwell"),
        "so so": lambda: warning("low", "fill it"),
        "refused": refused,
        "broken": broken,
        "panics": panics,
        "hangs": hangs,
        "last": lambda: failed("gone", "bring it back"),
    }
    rows = {row["check"]: row for row in run_checks(checks, 0.5)}
    never.set()
    assert list(rows) == list(checks)
    assert rows["fine"] == {"check": "fine", "state": "ok", "detail": "all well", "mend": ""}
    assert rows["refused"]["detail"] == "workspace /x: you may not write to /x"
    assert rows["refused"]["mend"] == "change its permissions"
    assert "a-secret" not in str(rows)
    assert "ZeroDivisionError" in rows["broken"]["detail"]
    assert rows["panics"]["state"] == "failed"
    assert rows["hangs"]["detail"] == "no answer within 0.5 s"
    assert worst(list(rows.values())) == {"ok": 1, "warning": 1, "failed": 5}
