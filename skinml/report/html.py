"""Render a page of HTML from a template. Only this module uses Jinja.

Every page extends `templates/base.html` and has one stylesheet, `templates/style.css`. A page needs no other
file to look right, and its Content-Security-Policy lets run only what has the hash of our own text: no style or
script that came with a name from an archive.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).with_name("templates")

STYLE = TEMPLATES / "style.css"


def render(template: Path, /, *, program: str = "", **values: Any) -> str:
    """The page: every value is escaped, and a name that the template lacks a value for is an error.

    Args:
        template: extends base.html; it may include what lies beside it.
        program: JavaScript of ours, put inline at the end of the page. "": the page may run none.
        values: of the template.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = STYLE.read_text(encoding="utf-8")
    return environment.get_template(template.name).render(
        **values,
        style=style,  # this, script and policy base.html does not escape: they are files of ours
        script=program,
        policy=content_policy(style, program),
    )


def content_policy(style: str, script: str) -> str:
    """The Content-Security-Policy of a page with this text in its `<style>` and in its `<script>`.

    Chromium applies it on file:// as it does on https://. There 'self' means the files beside the page.
    """
    scripts = f"'{_sha256(script)}'" if script else "'none'"
    return (
        f"default-src 'none'; style-src '{_sha256(style)}'; script-src {scripts}; img-src 'self' data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _sha256(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
