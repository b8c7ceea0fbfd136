"""What a verb prints for people: lines and tables that fit a terminal, in which no text can do harm."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from flows.cli.parts import shown
from flows.cli.printing import print_result
from flows.cli.screen import cut
from tests.terminal import Screen, in_terminal

ROWS = [
    {"reason": "empty", "images": 12_000, "uri": "s3://b/a.jpg"},
    {"reason": "read_error", "images": 3, "uri": "s3://b/\x1b[2J\nx.jpg"},
]

PLACE = "s3://archive/a/very/long/way/down/to/where/the/images/of/one/night/lie/ISIC_0000001.jpg"

SCORED: dict[str, Any] = {
    "run_id": "score-1",
    "listed": 12_345,
    "skipped": 0,
    "scored": 12_340,
    "quarantined": 5,
    "seconds": 1234.5,
    "images_per_second": 9.9959,
    "table_version": 7,
    "resumed": 0,
    "changed": 0,
    "passed_over": {},
    "reasons": {"empty": 4, "not_an_image": 1},
    "health": "unusual",
    "health_sentence": " ".join(["tonight's 12,340 images are darker than those the model was tested on"] * 3),
}

QUARANTINE: dict[str, Any] = {
    "rows": [
        {
            "flow": "score",
            "reason": f"reason_{number}",
            "images": number,
            "uris": number,
            "tries": number,
            "oldest": "2026-11-27T15:37:24Z",
            "newest": "2026-11-27T15:37:24Z",
            "uri": PLACE,
            "detail": "JPEG header that cannot be read in any way at all",
        }
        for number in (1, 1000)
    ],
    "images": 1001,
}

MEASURES = {"images": 23, "accuracy": 0.71, "macro_auc": 0.9}

TRAINED: dict[str, Any] = {
    "metrics": {
        **MEASURES,
        "per_class": {"mel": {"images": 3, "sensitivity": None}},
        "confusion_matrix": [[1]],
    },
    "honest": {**MEASURES, "accuracy": 0.6},
    "precisions": {
        "fp32": {"file": "model.onnx", "images": 23, "interval": None, "lesions": None, "allowed": True},
        "int8": {
            "file": "model-int8.onnx",
            "images": 23,
            "interval": [-0.001, 0.002],
            "lesions": dict.fromkeys(("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"), 10),
            "allowed": False,
        },
    },
}

WIDTHS = (60, 100, 200)


def on_terminal(result: object, columns: int, first: tuple[str, ...] = (), **more: str) -> Screen:
    code = f"from flows.cli.printing import print_result; print_result({result!r}, False, {first!r})"
    screen = in_terminal([sys.executable, "-c", code], columns, more)
    assert screen.exit_code == 0, screen.text
    return screen


def words(screen: Screen) -> list[list[str]]:
    return [line.split() for line in screen.lines]


def test_elsewhere_everything_is_lines_that_grep_finds(capsys: pytest.CaptureFixture[str]) -> None:
    result = {"rows": ROWS, "images": 2, "share": 0.123456, "nothing": [], "parts": {"a": 1}, "seconds": 2.0}
    print_result(result, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "images   2",
        "share    0.1235",
        "seconds  2 s",
        "parts.a  1",
        "",
        "reason      images  uri",
        "empty        12000  s3://b/a.jpg",
        "read_error       3  s3://b/\ufffd[2J x.jpg",
        "",
        "nothing  -",
    ]


def test_elsewhere_nothing_is_cut_or_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_result(QUARANTINE, as_json=False)
    out = capsys.readouterr().out
    assert out.count(PLACE) == 2
    assert "\x1b" not in out
    assert out.isascii()
    assert out.split("\n")[2].split() == [
        "flow",
        "reason",
        "images",
        "uris",
        "tries",
        "oldest",
        "newest",
        "uri",
        "detail",
    ]


def test_rows_by_name_are_a_table_too(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"tables": {"scores": {"files": 2}, "runs": {"files": 1, "spare": 7}}}, as_json=False)
    assert [line.split() for line in capsys.readouterr().out.splitlines()[:3]] == [
        ["files", "spare"],
        ["scores", "2", "-"],
        ["runs", "1", "7"],
    ]


def test_programs_get_everything(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"rows": ROWS}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"rows": ROWS}


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("result", [SCORED, QUARANTINE, TRAINED])
def test_a_terminal_gets_what_fits(result: object, columns: int) -> None:
    screen = on_terminal(result, columns)
    assert max(map(len, screen.lines)) <= columns


@pytest.mark.parametrize("columns", WIDTHS)
def test_counts_come_first_then_reasons_then_names(columns: int) -> None:
    screen = on_terminal(SCORED, columns, ("listed", "skipped"))
    assert screen.lines[0] == "", "log lines stand above"
    assert screen.lines[1:7] == [
        f"{'listed':<15}  12,345",
        f"{'skipped':<15}       0",
        f"{'scored':<15}  12,340",
        f"{'quarantined':<15}       5",
        f"{'time':<15}   1,234 s",
        f"{'speed':<15}   9.996 images/s",
    ]
    lines = words(screen)
    assert lines.index(["empty", "4"]) < lines.index(["run", "id", "score-1"])
    assert ["none", "resumed,", "changed,", "passed", "over"] in lines, (
        "zeros that nobody waits for share a line"
    )
    assert ["table", "version", "7"] in lines
    told = " ".join(" ".join(screen.lines).split())
    assert SCORED["health_sentence"] in told, "a sentence goes on in the next line"
    assert lines[-2] == ["Research", "software:", "not", "a", "medical", "device."]


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_end_of_a_place_and_every_number_are_kept(columns: int) -> None:
    screen = on_terminal(QUARANTINE, columns)
    rows = [line for line in screen.lines if line.startswith("score") or "reason_" in line]
    assert len(rows) == 2
    assert all("0000001.jpg" in row for row in rows)
    assert "1,000" in rows[1]
    assert rows[0].index("  1  ") + 3 == rows[1].index("1,000  ") + 5, "numbers end below each other"
    left_out = "no room for" in screen.text
    assert left_out == (columns < 200)
    assert ("tries" in screen.lines[3]) == (not left_out), "a column is left out with a word, never without"


@pytest.mark.parametrize("columns", [40, *WIDTHS])
def test_what_is_nested_is_a_table(columns: int) -> None:
    screen = on_terminal(TRAINED, columns)
    assert "{" not in screen.text
    lines = words(screen)
    assert ["metrics", "honest"] in lines
    assert ["accuracy", "0.71", "0.6"] in lines, "the honest figure stands beside the other"
    assert "-0.001, 0.002" in screen.text
    assert "not a medical device" in screen.text


def test_what_has_only_tables_inside_gets_no_heading_of_its_own() -> None:
    result = {"changed": {"better": [], "worse": [{"lesion_id": "HAM_1", "dx": "mel"}]}}
    lines = [line.strip() for line in on_terminal(result, 80).lines]
    assert "changed, worse" in lines
    assert "changed" not in lines


def test_a_row_on_its_side_has_no_empty_heading_and_no_dictionary() -> None:
    month = {f"figureofalongname{number}": 0.25 for number in range(6)} | {"intervals": {"auc": [0, 1]}}
    lines = [line.strip() for line in on_terminal({"months": [month]}, 60).lines]
    begins = lines.index("months") + 1
    assert lines[begins].split() == ["figureofalongname0", "0.25"]
    assert lines[begins + 6].startswith("no room for intervals: ")


def test_a_dumb_terminal_gets_no_colour_and_no_lines() -> None:
    screen = on_terminal(QUARANTINE, 100, TERM="dumb")
    assert "\x1b" not in screen.written
    assert "─" not in screen.written
    assert max(map(len, screen.lines)) <= 100


def test_no_color_is_honoured() -> None:
    assert "\x1b[1m" in on_terminal(SCORED, 100).written
    colours = [f"\x1b[{number}" for number in (*range(30, 50), *range(90, 108))]
    assert not any(colour in on_terminal(SCORED, 100, NO_COLOR="1").written for colour in colours)


def test_columns_wins_over_what_the_terminal_says() -> None:
    assert max(map(len, on_terminal(QUARANTINE, 200, COLUMNS="70").lines)) <= 70


def test_a_terminal_that_has_no_unicode_gets_ascii() -> None:
    screen = on_terminal({**QUARANTINE, "file": "Größe"}, 100, PYTHONIOENCODING="ascii")
    assert screen.written.isascii()
    assert "Gr??e" in screen.text


@pytest.mark.parametrize("columns", WIDTHS)
def test_no_control_character_of_a_key_reaches_the_terminal(columns: int) -> None:
    evil = "s3://b/\x1b]0;owned\x07\x1b[2J\x1b[31m[bold]\u202e[/bold]\rx.jpg"
    result = {
        "rows": [{"uri": evil, "detail": f"what {evil} was"}],
        "file": evil,
        "parts": {evil: 1},
        "list": [evil],
        "names": {evil: {"a": 1}},
    }
    plain = [
        sys.executable,
        "-c",
        f"from flows.cli.printing import print_result; print_result({result!r}, False)",
    ]
    for written in (
        on_terminal(result, columns).written,
        in_terminal(["sh", "-c", '"$@" | cat', "sh", *plain], columns).written,
    ):
        without_ours = re.sub(r"\x1b\[[0-3]m", "", written)  # bold, dim, italic and their end
        assert not [letter for letter in without_ours if not letter.isprintable() and letter not in "\r\n"]
        assert "[bold]" in written, "markup of rich's is text to us"


def test_a_place_outside_of_tables_stays_in_one_piece() -> None:
    assert any(line.endswith(PLACE) for line in on_terminal({"file": PLACE}, 60).lines)


def test_a_long_text_keeps_what_tells() -> None:
    assert cut("s3://bucket/a/long/way/ISIC_0000001.jpg", 21) == "s3://b…IC_0000001.jpg"
    assert cut("a sentence about what was wrong", 12) == "a sentence …"
    assert cut("short", 21) == "short"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (0, "0"),
        (1234567, "1,234,567"),
        (1234567.8, "1,234,568"),
        (0.00012345, "0.0001234"),
        ([0.5, 1.0], "0.5, 1"),
        ({"mel": 3}, "mel 3"),
        ("a\x1bb\n c", "a\ufffdb c"),
    ],
)
def test_values_are_shown_as_people_write_them(value: object, text: str) -> None:
    assert shown(value, commas=True) == text


def test_plain_output_loads_no_rich() -> None:
    code = (
        "import sys; from flows.cli.printing import print_result; print_result({'images': 1}, False);"
        "assert 'rich' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


MEASURED = {
    "metrics": {"images": 23, "accuracy": 0.5, "macro_auc": None, "per_class": {"mel": {"sensitivity": 0.4}}},
    "intervals": {
        "accuracy": [0.4, 0.625],
        "macro_auc": None,
        "per_class": {"mel": {"sensitivity": [0.1, 0.7]}},
    },
}


def test_an_interval_stands_beside_its_metric() -> None:
    screen = on_terminal(MEASURED, 80)
    assert ["accuracy", "0.5", "0.4,", "0.625"] in words(screen)
    assert "0.7" not in screen.text, "intervals of each class are for a pipe and for programs"
    both = {**MEASURED, "honest": {"accuracy": 0.25}, "honest_intervals": {"accuracy": [0.125, 0.5]}}
    assert ["accuracy", "0.25", "0.125,", "0.5"] in words(on_terminal(both, 80))


def test_elsewhere_intervals_are_lines_too(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(MEASURED, as_json=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["intervals.accuracy", "0.4,", "0.625"] in lines
    assert ["mel", "0.1,", "0.7"] in lines
