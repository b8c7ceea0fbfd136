"""Check the database of `--database` before a server is started on it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from skinml.errors import RequestError
from skinml.storage.redaction import hide, redacted

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

DRIVER = "postgresql+asyncpg"
SECONDS = 10.0


def check_database(url: str, arguments: Sequence[str] | None = None) -> None:
    """Refuse a database that cannot be used, in one line without its password.

    Args:
        url: postgresql+asyncpg://user:password@host:port/name. The password may stand in PGPASSWORD instead.
        arguments: the command line; None for that of this process, which every user can see.

    Raises:
        RequestError: no such URL, a password among the arguments, or no connection.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise RequestError(f"--database {redacted(url)}: not a URL; give {DRIVER}://user@host/name") from error
    if parsed.password:
        hide(str(parsed.password))
    if parsed.drivername != DRIVER or not parsed.database:
        raise RequestError(
            f"--database {redacted(url)}: give {DRIVER}://user@host/name, or leave it out for SQLite"
        )
    if parsed.password and any(url in argument for argument in (sys.argv if arguments is None else arguments)):
        raise RequestError(
            "--database: a password in an argument can be read by every user of this machine:"
            " set SKINML_UP_DATABASE, or leave it out and set PGPASSWORD"
        )
    try:
        asyncio.run(_connect(parsed))
    except Exception as error:  # of asyncpg, of the network, of the database
        said = redacted(" ".join(str(error).split()) or type(error).__name__)
        raise RequestError(f"--database {redacted(url)}: cannot be reached: {said}") from error


async def _connect(url: URL) -> None:
    import asyncpg  # type: ignore[import-untyped]

    place = url.query.get("host")
    connection = await asyncpg.connect(
        host=url.host or (place if isinstance(place, str) else None),
        port=url.port,
        user=url.username,
        password=url.password,
        database=url.database,
        timeout=SECONDS,
    )
    await connection.close()
