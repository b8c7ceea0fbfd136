"""Check the places that skinml works on, with this process's own credentials: workspace, archive, clock."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from skinml.checkup.checks import Finding, failed, ok, warning
from skinml.checkup.nights import spoken
from skinml.layout import check_workspace, find_archive, open_workspace
from skinml.storage.listing import list_images
from skinml.storage.objects import names, read_bytes, write_bytes
from skinml.storage.probe import probe_folder
from skinml.storage.read_ahead import read_many
from skinml.storage.removal import delete
from skinml.storage.settings import settings
from skinml.storage.urls import is_remote, normalise

SKEW, MOST_SKEW = timedelta(seconds=60), timedelta(minutes=10)
"""S3 refuses requests whose clock is 15 minutes off."""

CLOCK_SECONDS = 8.0


def check_workspace_access(workspace: str) -> Finding:
    """The workspace can be read and written to; in a bucket, conditional puts really work.

    Writes an object, reads it and deletes it again. `open_workspace` probes conditional puts.
    """
    url = check_workspace(workspace)
    open_workspace(url)
    with probe_folder(url) as folder:
        probe, text = f"{folder}/doctor", b"skinml doctor"
        write_bytes(probe, text)
        if read_bytes(probe, len(text)) != text:
            return failed(f"{url}: what was written is not what is read", "check the store behind it")
        delete([probe])
    if "runs" not in names(url):
        said = f"{url}: can be written to, but nothing has run there yet"
        return warning(said, "check its name, and that its disk is mounted; skinml prepare fills a new one")
    more = ", conditional puts work" if is_remote(url) else ""
    return ok(f"{url}: read, written and deleted{more}")


def check_archive_access(workspace: str | None, archive: str) -> Finding:
    """The archive can be listed, and the first image in it can be read."""
    url = normalise(archive)
    left_out = find_archive(normalise(workspace), archive).left_out if workspace else ()
    first = next(
        (piece.images for piece in list_images(url, left_out, at_once=1) if piece.images.num_rows), None
    )
    if first is None:
        return warning(f"{url}: holds no images", "check the name of the archive")
    [read] = read_many([first["uri"][0].as_py()])
    if read.error is not None:
        return failed(f"{url}: its first image cannot be read: {read.error}", "check who may read there")
    return ok(f"{url}: listed, and its first image was read")


def check_champion(workspace: str) -> Finding:
    """The champion's files are those that were registered."""
    from skinml.checkup.champion import champion_problems

    version, problems = champion_problems(normalise(workspace))
    if not problems:
        return ok(f"champion {version}")
    if problems[0].kind == "no_champion":
        return warning("there is no champion: nothing can be scored", "skinml train, or skinml models promote")
    return failed(problems[0].detail, "restore the file from a copy; skinml models verify names all")


def check_clock(servers: list[str]) -> Finding:
    """This machine's clock agrees with that of the bucket or of the Prefect server, within a minute.

    Args:
        servers: HTTP addresses; the clock is compared with the first one that answers with a date.
    """
    for url in servers:
        there = _date_of(url)
        if there is None:
            continue
        skew = datetime.now(UTC) - there
        said = f"this clock is {spoken(abs(skew))} {'ahead of' if skew > timedelta(0) else 'behind'} {url}"
        if abs(skew) > MOST_SKEW:
            return failed(said, "set the clock (NTP): a bucket refuses requests that are 15 minutes off")
        if abs(skew) > SKEW:
            return warning(said, "set the clock (NTP)")
        return ok(f"agrees with {url} within {max(abs(skew).total_seconds(), 1):.0f} s")
    return ok("not compared: there is no bucket and no server to ask")


def bucket_server(workspace: str | None) -> list[str]:
    """The address of the bucket's server, whose answers have a date; nothing for a folder."""
    if workspace is None or not is_remote(normalise(workspace)):
        return []
    return [settings().endpoint]


def _date_of(url: str) -> datetime | None:
    """The date in a server's answer, whatever the answer is; None without one."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - an address of this process's settings
    try:
        with urllib.request.urlopen(request, timeout=CLOCK_SECONDS) as answer:  # noqa: S310
            date = answer.headers.get("Date")
    except urllib.error.HTTPError as error:  # S3 refuses a request without a signature, with a date
        date = error.headers.get("Date")
    except (OSError, ValueError):
        return None
    try:
        there = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    return there if there.tzinfo else there.replace(tzinfo=UTC)
