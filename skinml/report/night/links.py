"""Links from a page in a workspace to an image of an archive: relative, so that both can be moved together."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote, quote_from_bytes

from skinml.storage.urls import file_path, is_remote

NO_BROWSER_FORM = (".dcm",)
"""Suffixes that no browser shows."""


@dataclass(frozen=True)
class Linker:
    """Finds links from one page.

    Attributes:
        page: normalised URL of the folder that the page lies in.
    """

    page: str

    def folder(self, uri: str) -> str | None:
        """The link to a folder of images, with a slash at its end; None if a browser cannot reach it.

        A page in a folder reaches other folders, and a page in a bucket what lies in the same bucket, if
        somebody serves it. There is no link from one kind of place to another: `s3://` opens in no browser.

        Args:
            uri: of the folder, as the beginning of the uri of an image.

        Example:
            >>> Linker("/data/workspace/reports/score-1").folder("file:///data/archive%202/")
            '../../../archive%202/'
            >>> Linker("s3://clinic/skinml/reports/score-1").folder("s3://clinic/archive/2026/")
            '../../../archive/2026/'
            >>> Linker("/data/workspace/reports/score-1").folder("s3://clinic/archive/") is None
            True
        """
        if uri.startswith("file:///") and not is_remote(self.page):
            relative = os.path.relpath(file_path(uri), self.page)
            return quote_from_bytes(os.fsencode(relative)) + "/"
        bucket = "/".join(self.page.split("/", 3)[:3])
        if is_remote(self.page) and uri.startswith(f"{bucket}/"):
            return quote(posixpath.relpath(uri, self.page)) + "/"
        return None

    def image(self, uri: str) -> str | None:
        """The link to an image; None as for its folder, and if no browser shows it."""
        if PurePosixPath(uri).suffix.lower() in NO_BROWSER_FORM:
            return None
        head, _, name = uri.rpartition("/")
        folder = self.folder(f"{head}/")
        if folder is None:
            return None
        return folder + (name if uri.startswith("file://") else quote(name, safe=""))
