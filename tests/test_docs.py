"""The documents against the code: what they name exists, and what exists is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows.cli.settings import names_of
from flows.cli.verbs import REQUESTS
from skinml import errors, schemas
from tests.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
CODE = ("skinml", "tasks", "flows", "deployments")


def test_every_verb_is_in_the_readme_and_no_other() -> None:
    table = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert table == [
        "synth",
        "prepare",
        "train",
        "score",
        "quarantine",
        "export",
        "compact",
        "demo",
        "drill",
        "completion",
    ]
    assert table == list(REQUESTS)
    shell = "\n".join(re.findall(r"^```\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
    used = set(re.findall(r"^skinml (\w+)", shell, re.MULTILINE))
    assert used
    assert used <= set(REQUESTS)


def test_every_flag_in_the_readme_exists() -> None:
    known = {f"--{name.replace('_', '-')}" for model in REQUESTS.values() for name in names_of(model)}
    known |= {"--workspace", "--config", "--json", "--help", "--type", "--all", "--pool", "--prefect-file"}
    known |= {"--constraint", "--no-deps", "--wheel-dir"}  # of pip
    assert set(re.findall(r"--[a-z][a-z-]+", README)) <= known


def test_every_reason_and_table_is_in_the_readme() -> None:
    for word in (*errors.Reason, *schemas.TABLES):
        assert word in README


def test_the_first_screen_is_a_sentence_and_two_commands() -> None:
    first = README.splitlines()[:20]
    assert "make demo" in "\n".join(first)
    assert "make test" in "\n".join(first)
    assert "not a medical device" in "\n".join(first)


def test_the_demo_output_in_the_readme_is_of_the_demo_that_is_there() -> None:
    shown = README[README.index("<!-- demo -->") : README.index("<!-- /demo -->")]
    for verb in ("synth", "prepare", "train", "score"):
        assert re.search(rf"^\$ skinml .*\b{verb}\b", shown, re.MULTILINE), verb
    for heading in ("Runs", "Scores, the likeliest malignant first", "Quarantine", "Where to look next"):
        assert heading in shown


@pytest.mark.parametrize("path", re.findall(r"`([a-z/_.]+/|[a-z/_]+\.(?:py|yaml))`", ARCHITECTURE))
def test_what_the_architecture_names_is_there(path: str) -> None:
    places = [REPOSITORY / path, *(REPOSITORY / folder / path for folder in CODE)]
    assert any(place.exists() for place in places)


def test_every_package_is_in_the_architecture_and_it_stays_one_screen() -> None:
    packages = [path.parent for folder in CODE for path in (REPOSITORY / folder).rglob("__init__.py")]
    for package in packages:
        assert f"{package.relative_to(REPOSITORY)}/" in ARCHITECTURE, package
    assert len(ARCHITECTURE.splitlines()) <= 70


def test_every_module_says_its_job_in_its_first_line() -> None:
    for folder in CODE:
        for path in (REPOSITORY / folder).rglob("*.py"):
            first = path.read_text(encoding="utf-8").splitlines()[0]
            assert first.startswith('"""'), path
            assert len(first) > 20, path


def test_modules_stay_readable() -> None:
    for folder in CODE:
        for path in (REPOSITORY / folder).rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path


def test_no_path_of_a_machine_is_in_the_repository() -> None:
    home = re.compile(r"/(?:home|root|Users)/\w")
    for pattern in ("*.md", "*.toml", "*.yaml", "Makefile", "*.txt"):
        for path in [*REPOSITORY.glob(pattern), *(REPOSITORY / "docs").glob(pattern)]:
            assert not home.search(Path(path).read_text(encoding="utf-8")), path
