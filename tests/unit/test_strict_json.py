"""Tests of skinml/strict_json.py: whatever bytes it is given, a value or one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from skinml.strict_json import DEEPEST, LONGEST_PROBLEM, parse_json, printable

ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)
WORDS = TypeAdapter(dict[str, str])

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def _refusal(kind: TypeAdapter[Any], data: bytes) -> str | None:
    try:
        parse_json(kind, data)
    except ValueError as error:
        return str(error)
    return None


@given(VALUES)
def test_json_is_read(value: Any) -> None:
    assert parse_json(ANYTHING, json.dumps(value).encode()) == value
    assert parse_json(ANYTHING, b"\xef\xbb\xbf" + json.dumps(value).encode()) == value


@given(
    st.binary(max_size=80)
    | st.text(alphabet='{}[]":,0123456789eE+-.NaInfity \\u"\n', max_size=80).map(str.encode)
)
def test_any_bytes_give_a_value_or_one_line(data: bytes) -> None:
    said = _refusal(ANYTHING, data) or "nothing"
    assert said.isprintable()
    assert len(said) <= 2 * LONGEST_PROBLEM


def _nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[" * 100_000, f"nested more than {DEEPEST} levels deep"),
        (b'{"a":' * 100_000, f"nested more than {DEEPEST} levels deep"),
        (_nested(DEEPEST + 2), f"nested more than {DEEPEST} levels deep"),
        (b'{"a": NaN}', "NaN is not a finite number"),
        (b"[-Infinity]", "-Infinity is not a finite number"),
        (b"[1e999]", "1e999 is not a finite number"),
        (b'{"a": "1", "b": "2", "a": "3"}', "the key 'a' occurs twice"),
        (b'{"\\n": "1", "\\n": "3"}', r"the key "),
        (b'"\xff"', "not UTF-8 at byte 1"),
        ("{}".encode("utf-16"), "not UTF-8 at byte 0"),
        (b"", "not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"1" * 5_000, "Exceeds the limit"),
        (b'{"a": "x"} {}', "not JSON: Extra data: line 1 column 12 (char 11)"),
    ],
    ids=lambda value: str(value[:12]),
)
def test_what_is_wrong_is_said_in_one_line(data: bytes, said: str) -> None:
    found = _refusal(ANYTHING, data)
    assert found is not None
    assert said in found
    assert found.isprintable()


def test_as_deep_as_may_be_is_read() -> None:
    assert parse_json(ANYTHING, _nested(DEEPEST)) is not None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([1], "it: Input should be a valid dictionary"),
        ({"a": 1}, "a: Input should be a valid string"),
        ({"a\nb": 1}, "'a\\nb: Input should be a valid string'"),
        ({"x" * 10_000: 1}, "x" * LONGEST_PROBLEM + "…"),
        ({"a": "x\ud800"}, r"'x\ud800' contains half of a surrogate pair"),
        ({"\udfff": "x"}, r"'\udfff' contains half of a surrogate pair"),
    ],
)
def test_what_is_of_another_type_is_said_with_its_place(data: Any, said: str) -> None:
    assert _refusal(WORDS, json.dumps(data).encode()) == said


def test_a_message_is_one_short_line() -> None:
    assert printable("plain") == "plain"
    assert printable("a\x1b[2Jb") == r"'a\x1b[2Jb'"
    assert len(printable("x" * 1000)) == LONGEST_PROBLEM + 1
