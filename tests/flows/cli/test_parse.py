"""What is typed: help that shows what must be given first, and one line for what is mistyped."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from flows.cli import main as command_line
from flows.cli.main import main
from flows.cli.parse import choices_of
from flows.cli.verbs import REQUESTS
from skinml.process import interrupts
from tests.terminal import in_terminal

SKINML = [sys.executable, "-P", "-m", "skinml"]

HEADINGS = ["required", "options", "recipe", "floors", "model card", "cluster", "common"]


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 2) -> str:
    """The one line with which this is refused; with --json the same words end stdout."""
    assert main(["--json", *arguments]) == code
    printed = capsys.readouterr()
    line = printed.err.splitlines()[-1]
    assert line.startswith("skinml: ")
    assert not line.startswith("skinml: skinml: ")
    assert json.loads(printed.out.splitlines()[-1]) == {
        "error": line.removeprefix("skinml: "),
        "exit_code": code,
    }
    return line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("scroe", "there is no verb 'scroe'; did you mean score? see skinml --help"),
        ("dance", "there is no verb 'dance'; verbs are synth, fetch, prepare, "),
        ("score --archve x", "score has no '--archve'; did you mean --archive? see skinml score --help"),
        ("score --archive x --jsn", "did you mean --json?"),
        ("--archive x score", "--archive is not a flag that stands before the verb; "),
        ("--worksapce x score", "did you mean --workspace?"),
        ("quarantine lst", "action 'lst': did you mean list? input should be 'list' or 'replay'"),
        ("quarantine --reason emty", "--reason 'emty': did you mean empty?"),
        ("train --protocol gruoped", "--protocol 'gruoped': did you mean grouped?"),
        ("prepare --images a --metadata b --decode exatc", "--decode 'exatc': did you mean exact?"),
        ("completion bsah", "shell 'bsah': did you mean bash?"),
        ("score", "score: --archive is needed"),
        ("score --archive", "--archive: expected one argument; see skinml score --help"),
        ("--workspace", "no verb was given"),
        ("--workspace x", "no verb was given"),
        ("", "no verb was given; see skinml --help"),
        ("--json=yes score --archive x", "--json: "),
        ("score --archive x --config nowhere.toml", "--config nowhere.toml: No such file or directory"),
    ],
)
def test_what_is_mistyped_gets_one_line(capsys: pytest.CaptureFixture[str], arguments: str, words: str) -> None:
    assert words in said(capsys, *arguments.split())


@pytest.mark.parametrize("abbreviated", ["--archiv", "--arch", "--max", "--rech"])
def test_no_flag_can_be_abbreviated(capsys: pytest.CaptureFixture[str], abbreviated: str) -> None:
    assert f"score has no '{abbreviated}'" in said(capsys, "score", "--archive", "x", abbreviated, "x")


def test_a_key_of_the_file_that_is_misspelt_gets_the_one_that_was_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "skinml.toml").write_text("[scroe]\narchive = 'x'\n")
    line = said(capsys, "--config", str(tmp_path / "skinml.toml"), "score", "--archive", "x")
    assert "did you mean score? 'scroe' is none of " in line


def test_without_arguments_the_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert all(re.search(rf"^ +{verb} ", printed.err, re.MULTILINE) for verb in REQUESTS)


def help_of(*arguments: str, columns: int = 80) -> list[str]:
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(printed):
        patched.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--help"])
    assert ended.value.code == 0
    return printed.getvalue().splitlines()


@pytest.mark.parametrize("verb", REQUESTS)
def test_what_must_be_given_stands_first_in_the_help(verb: str) -> None:
    lines = help_of(verb)
    headings = [line.removesuffix(":") for line in lines if re.fullmatch(r"[a-z ]+:", line)]
    assert headings == [heading for heading in HEADINGS if heading in headings]
    required = [name for name, field in REQUESTS[verb].model_fields.items() if field.is_required()]
    assert ("required" in headings) == bool(required)
    below = (
        "\n".join(lines[lines.index("required:") : lines.index("common:")]).partition("\n\n")[0]
        if required
        else ""
    )
    for name in required:
        choices = choices_of(REQUESTS[verb].model_fields[name])
        names = (name.replace("_", "-"), name.upper(), *choices)  # of a flag, of a place, and its choices
        assert any(one in below for one in names), name


def test_the_usage_says_what_may_be_left_out_and_what_repeated() -> None:
    assert help_of("models")[0] == "usage: skinml models [ACTION] [VERSIONS ...] [options]"
    assert help_of("explain")[0] == "usage: skinml explain IMAGE_ID [options]"
    assert "(default: )" not in "".join(help_of("train"))


@pytest.mark.parametrize("columns", [60, 100])
def test_the_help_wraps_to_the_width(columns: int) -> None:
    for verb in REQUESTS:
        assert max(map(len, help_of(verb, columns=columns))) <= columns


def test_the_help_shows_defaults_choices_and_what_switches_off() -> None:
    text = " ".join(" ".join(help_of("quarantine", columns=200)).split())
    assert "(default: champion)" in text
    assert "--precision fp32|int8" in text
    assert "with this reason: empty, truncated, not_an_image," in text
    assert "--images, --no-images" in text


def test_help_takes_no_time() -> None:
    """The best of five: another process may have the machine. It takes 0.2 to 0.45 s; Prefect alone takes 2."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"
    )
    command = [sys.executable, "-c", code, *SKINML, "--help"]
    assert min(float(subprocess.check_output(command)) for _ in range(5)) <= 1.0


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def call(*_: object) -> None:
        raise error

    monkeypatch.setattr(command_line, "call", call)


def test_an_unexpected_error_is_one_line_with_its_traceback_in_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, KeyError("a\x1b[2J\nkey of https://reader:sesame@host/x"))
    assert main(["--json", "synth", "--images", "10", "--out", "x"]) == 1
    printed = capsys.readouterr()
    line = printed.err.splitlines()[-1]
    assert line.startswith("skinml: unexpected KeyError: ")
    assert "report it with the traceback above" in line
    assert "Traceback (most recent call last)" in printed.err
    assert "sesame" not in printed.err + printed.out
    assert json.loads(printed.out)["exit_code"] == 1


def test_at_a_terminal_the_traceback_is_in_a_file(tmp_path: Path) -> None:
    code = (
        "from flows.cli import main\n"
        "def call(*_): raise ZeroDivisionError('by \\x1b[2J nothing')\n"
        "main.call = call\n"
        f"raise SystemExit(main.main(['synth', '--images', '10', '--out', {str(tmp_path / 'x')!r}]))"
    )
    screen = in_terminal([sys.executable, "-c", code], 300, {"TMPDIR": str(tmp_path)})
    assert screen.exit_code == 1
    [line] = [line for line in screen.lines if line]
    assert "\x1b" not in screen.written
    [kept] = tmp_path.glob("skinml-*.txt")
    assert line.endswith(f"with the traceback in {kept}")
    assert "ZeroDivisionError" in kept.read_text()


def test_an_interrupt_that_is_nobodys_signal_ends_with_an_object_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    assert "interrupted" in said(capsys, "synth", "--images", "10", "--out", "x", code=130)


def test_a_signal_ends_with_an_object_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left: list[int] = []
    failing(monkeypatch, interrupts.Interrupted(15))
    monkeypatch.setattr(interrupts, "leave", left.append)
    main(["--json", "synth", "--images", "10", "--out", "x"])
    assert json.loads(capsys.readouterr().out) == {"error": "ended by SIGTERM", "exit_code": 143}
    assert left == [15]
