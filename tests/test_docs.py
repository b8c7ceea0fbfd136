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
TABLES = (REPOSITORY / "docs" / "tables.md").read_text(encoding="utf-8")
DECISIONS = REPOSITORY / "docs" / "decisions"
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
USER_PAGES = (
    "README.md",
    *(
        f"docs/{name}.md"
        for name in (
            "evaluating",
            "explaining",
            "exploring",
            "fetching",
            "models",
            "monitoring",
            "operating",
            "preparing",
            "reports",
            "retraining",
            "scoring",
            "tables",
            "training",
        )
    ),
)
CODE = ("skinml", "tasks", "flows", "deployments")


def test_every_verb_is_in_the_readme_and_no_other() -> None:
    table = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert table == list(REQUESTS)
    shell = "\n".join(re.findall(r"^```\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
    used = set(re.findall(r"^skinml (\w+)", shell, re.MULTILINE))
    assert used
    assert used <= set(REQUESTS)


@pytest.mark.parametrize("page", USER_PAGES)
def test_every_flag_in_the_readme_and_the_pages_for_users_exists(page: str) -> None:
    known = {f"--{name.replace('_', '-')}" for model in REQUESTS.values() for name in names_of(model)}
    known |= {
        f"--no-{name.replace('_', '-')}"
        for model in REQUESTS.values()
        for name, field in model.model_fields.items()
        if field.annotation is bool
    }
    known |= {
        "--workspace",
        "--config",
        "--json",
        "--help",
        "--type",
        "--all",
        "--pool",
        "--prefect-file",
        "--resources",
    }
    known |= {"--constraint", "--no-deps", "--wheel-dir"}  # of pip
    assert set(re.findall(r"--[a-z][a-z-]+", (REPOSITORY / page).read_text(encoding="utf-8"))) <= known


def test_every_table_is_in_the_readme_which_links_to_the_page_of_the_tables() -> None:
    for table in schemas.TABLES:
        assert f"`{table}`" in README
    assert "(docs/tables.md)" in README


def test_the_page_of_the_tables_has_every_table_column_and_reason() -> None:
    sections = re.split(r"^## ", TABLES, flags=re.MULTILINE)[1:]
    assert [section.split("`")[1] for section in sections if section.startswith("`")] == [
        "scores", "shadow_scores", "quarantine", "runs", "samples", "known_etags", "promotions", "evaluations"
    ]  # fmt: skip
    for section in sections:
        table = section.split("`")[1]
        listed = re.findall(r"^\| ([\w, ]+) \|", section.partition("| reason | meaning")[0], re.MULTILINE)
        columns = [column for row in listed if row != "column" for column in row.split(", ")]
        assert sorted(columns) == sorted(schemas.TABLES[table].names), table
    assert re.findall(
        r"^\| (\w+) \|", TABLES.partition("| reason | meaning")[2].split("##")[0], re.MULTILINE
    ) == [reason.value for reason in errors.Reason]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, left = set(), [REPOSITORY / "README.md"]
    while left:
        page = left.pop()
        reached.add(page)
        found = re.findall(r"\]\((?!https?:)([^)#]+\.md)\)", page.read_text(encoding="utf-8"))
        left += [path for path in ((page.parent / target).resolve() for target in found) if path not in reached]
    assert reached >= set(PAGES)


def test_a_decision_is_half_a_screen_and_says_against_what() -> None:
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    for page in DECISIONS.glob("*.md"):
        if page.name == "README.md":
            continue
        text = page.read_text(encoding="utf-8")
        assert f"[{text.splitlines()[0].removeprefix('# ')}]({page.name})" in index
        assert len(text.splitlines()) <= 30, page.name
        assert re.match(r"# .+\n\n\d{4}-\d\d\n", text), page.name
        for part in ("Context", "Decision", "Against", "Consequences"):
            assert re.search(rf"\*\*{part}", text), (page.name, part)


def test_the_first_screen_is_a_sentence_and_two_commands() -> None:
    first = README.splitlines()[:20]
    assert first[2].endswith(".")
    for reader in ("engineer", "researcher", "clinician"):
        assert reader in "\n".join(first).lower()
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
