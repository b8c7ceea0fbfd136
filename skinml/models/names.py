"""Check the names of models, versions and bundle files, so that none leads out of the bundle's folder."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

LONGEST_NAME, LONGEST_FILE = 128, 512
"""Characters. File systems allow 255 in a name, in bytes."""

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")


def is_name(text: str) -> bool:
    """Whether this names a model or a version: one folder, in plain ASCII."""
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None


def is_file(text: str) -> bool:
    """Whether this is the path of a file in a bundle: relative, "/" between its parts, within its folder."""
    plain = len(text) <= LONGEST_FILE and text.isprintable() and "\\" not in text
    return plain and not {"", ".", ".."} & set(text.split("/"))


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(
            f"{_shown(text)} is not a name: letters, digits, '.', '_', '-', first a letter or digit"
        )
    return text


def _file(text: str) -> str:
    if not is_file(text):
        raise ValueError(f"{_shown(text)} is not the path of a file inside the bundle")
    return text


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…")


Name = Annotated[str, AfterValidator(_name)]
"""Of a model or a version."""

BundleFile = Annotated[str, AfterValidator(_file)]
"""A file's path in its bundle."""
