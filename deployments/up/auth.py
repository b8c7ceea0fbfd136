"""Credentials of the API: taken from the environment, or made and kept in a file that only this user reads."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping

from deployments.up.state import Home
from skinml.errors import RequestError
from skinml.requests.up import AUTH_VARIABLE
from skinml.storage.redaction import hide

PREFECT_VARIABLE = "PREFECT_SERVER_API_AUTH_STRING"
USER = "skinml"


def choose_credentials(home: Home, environment: Mapping[str, str]) -> str:
    """The credentials `user:password`, which are then in the home's file, for verbs of this user.

    From SKINML_UP_AUTH or PREFECT_SERVER_API_AUTH_STRING, else those of last time, else new ones.

    Raises:
        RequestError: they are no user:password.
    """
    given = environment.get(AUTH_VARIABLE, "")
    given = given if ":" in given else environment.get(PREFECT_VARIABLE, "")
    if given:
        hide(given, given.partition(":")[2])
        user, colon, password = given.partition(":")
        if not (user and colon and password) or not given.isprintable() or not given.isascii():
            raise RequestError(f"the credentials in {AUTH_VARIABLE} or {PREFECT_VARIABLE} are no user:password")
    secret = given or _kept(home) or f"{USER}:{secrets.token_urlsafe(32)}"
    hide(secret, secret.partition(":")[2])
    _write(home, secret)
    return secret


def _kept(home: Home) -> str | None:
    try:
        about = home.secret.stat()
        if about.st_uid != os.geteuid() or about.st_mode & 0o077:  # somebody may have read it
            return None
        kept = home.secret.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return kept if ":" in kept else None


def _write(home: Home, secret: str) -> None:
    begun = home.secret.with_suffix(".new")
    begun.unlink(missing_ok=True)
    with os.fdopen(os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{secret}\n")
    begun.replace(home.secret)
