"""Render a page of HTML from a template. Only this module uses Jinja."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def render(template: Path, **values: Any) -> str:
    """The page: every value is escaped, and a name that the template lacks a value for is an error."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template.read_text(encoding="utf-8")).render(**values)
