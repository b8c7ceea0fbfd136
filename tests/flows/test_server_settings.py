"""Whether Prefect's settings may name a server, in every place that Prefect reads, beside its own answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.settings.models.root import Settings

from flows.server_settings import may_name_a_server

ADDRESS = "http://127.0.0.1:4200/api"
PROFILE = f'active = "here"\n[profiles.here]\nPREFECT_API_URL = "{ADDRESS}"\n'

NOBODY: dict[str, str] = {}


@pytest.mark.parametrize(
    ("variables", "files", "named"),
    [
        (NOBODY, NOBODY, False),
        ({"PREFECT_API_URL": ADDRESS}, NOBODY, True),
        ({"prefect_api_url": ADDRESS}, NOBODY, True),
        ({"PREFECT_API_URL": ""}, {"home/profiles.toml": PROFILE}, False),
        ({"PREFECT_API_KEY": "sesame"}, NOBODY, False),
        (NOBODY, {"home/profiles.toml": PROFILE}, True),
        (NOBODY, {"home/profiles.toml": 'active = "here"\n[profiles.here]\n'}, False),
        ({"PREFECT_PROFILES_PATH": "elsewhere.toml"}, {"elsewhere.toml": PROFILE}, True),
        (NOBODY, {".env": f"PREFECT_API_URL={ADDRESS}\n"}, True),
        (NOBODY, {".env": "COLOUR=blue\n"}, False),
        (NOBODY, {"prefect.toml": f'[api]\nurl = "{ADDRESS}"\n'}, True),
        (NOBODY, {"pyproject.toml": f'[tool.prefect.api]\nurl = "{ADDRESS}"\n'}, True),
        (NOBODY, {"pyproject.toml": '[project]\nname = "clinic"\n'}, False),
    ],
)
def test_a_place_that_names_a_server_is_noticed(
    variables: dict[str, str],
    files: dict[str, str],
    named: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    assert may_name_a_server() is named
    assert bool(Settings().api.url) is named, "as Prefect itself says"


def test_a_file_that_cannot_be_read_is_left_to_prefect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_bytes(b"\xff\xfe")
    assert may_name_a_server()
