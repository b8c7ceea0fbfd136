"""Tests of skinml/notify/told.py: told while there are problems, once when there are none any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from skinml.notify.told import Told, must_tell, read_told, write_told


@pytest.mark.parametrize(
    ("when", "before", "now", "tell"),
    [
        ("problems", (), (), False),
        ("problems", (), ("late",), True),
        ("problems", ("late",), ("late",), True),
        ("problems", ("late",), (), True),
        ("change", ("late",), ("late",), False),
        ("change", ("late", "dead"), ("dead", "late"), False),
        ("change", ("late",), ("late", "drifted"), True),
        ("change", ("late",), (), True),
        ("always", (), (), True),
    ],
)
def test_when_somebody_is_told(when: str, before: tuple[str, ...], now: tuple[str, ...], tell: bool) -> None:
    assert must_tell(when, before, now) is tell


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SKINML_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_it_is_remembered_by_workspace_and_receiver(home: Path) -> None:
    told = Told(True, ("late", "drifted"))
    write_told("/workspace", "https://host/a-secret", told)
    assert read_told("/workspace", "https://host/a-secret") == told
    assert read_told("/workspace", "https://host/another") == Told()
    assert read_told("/other", "https://host/a-secret") == Told()
    [file] = (home / "told").iterdir()
    assert "a-secret" not in file.read_text()
    assert home.stat().st_mode & 0o077 == 0 or (home / "told").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"seen": true}', '{"seen": 1, "kinds": 5}', "[" * 10**5])
def test_a_broken_file_is_nothing(home: Path, content: str) -> None:
    write_told("/workspace", "r", Told(True, ("late",)))
    [file] = (home / "told").iterdir()
    file.write_text(content)
    assert read_told("/workspace", "r") == Told()


def test_a_home_that_is_a_file_is_said(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    home.write_text("")
    write_told("/workspace", "r", Told(True))
    assert "may tell the same again" in caplog.text
