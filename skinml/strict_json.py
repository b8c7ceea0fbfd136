"""Parse JSON that somebody else may have written: strictly, with bounds, and with errors of one line.

pydantic checks the types. Its own parser is not used: it reads {"a": 1, "a": 2} as 2, and 1e999 as infinity.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from itertools import chain
from typing import Any, NoReturn, TypeVar

from pydantic import TypeAdapter, ValidationError

Value = TypeVar("Value")

DEEPEST = 64
"""Levels of nesting that are accepted. Our own files have five; a thousand would exceed Python's recursion."""

_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a UTF-16 surrogate pair. JSON can contain one alone; UTF-8 cannot."""

LONGEST_PROBLEM = 300
"""Messages are cut to this many characters: a name in a file may be as long as the file."""


def parse_json(kind: TypeAdapter[Value], data: bytes) -> Value:
    """Parse `data` and check the value against its type.

    Raises:
        ValueError: the data is not UTF-8, not JSON, contains a key twice, a number that is not finite or more
            than DEEPEST levels, or is not of this type. The message is one line and says where.

    """
    try:
        return kind.validate_python(_loads(data))
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error


def printable(text: object) -> str:
    """Return any text on one line and not too long, for a message."""
    shown = str(text)
    shown = shown if shown.isprintable() else repr(shown)
    return shown if len(shown) <= LONGEST_PROBLEM else f"{shown[:LONGEST_PROBLEM]}…"


def _loads(data: bytes) -> Any:
    try:
        value = json.loads(
            data.decode("utf-8-sig"),
            object_pairs_hook=_without_repeats,
            parse_float=_finite,
            parse_constant=_no_number,
        )
    except RecursionError as error:
        raise ValueError(f"nested more than {DEEPEST} levels deep") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    _check(value)
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object as a dict; refuse a repeated key, because parsers differ in which value they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {printable(twice)!r} occurs twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # such as 1e999
        raise ValueError(f"{printable(text)} is not a finite number")
    return number


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a finite number")


def _check(value: Any) -> None:
    """Refuse deep nesting and text that cannot be encoded: later code that copies or prints it would crash."""
    level = [value]
    for _ in range(DEEPEST + 1):
        for text in level:
            if isinstance(text, str) and _SURROGATE.search(text):
                raise ValueError(f"{printable(text)} contains half of a surrogate pair")
        level = [
            one
            for part in level
            if isinstance(part, dict | list)
            for one in (chain(part.keys(), part.values()) if isinstance(part, dict) else part)
        ]
        if not level:
            return
    raise ValueError(f"nested more than {DEEPEST} levels deep")


def first_problem(error: ValidationError) -> str:
    """Return the first type error in one line: where and why."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"])) or "it"
    return printable(f"{place}: {first['msg'].removeprefix('Value error, ')}")  # pydantic's, before ours
