"""The errors that skinml raises, and the reasons for which an image is quarantined."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an image could not be used: the `reason` column of the quarantine table."""

    EMPTY = "empty"
    TRUNCATED = "truncated"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TOO_LARGE = "too_large"
    DECODE_ERROR = "decode_error"
    READ_ERROR = "read_error"
    NO_METADATA = "no_metadata"
    DUPLICATE_ID = "duplicate_id"


class SkinmlError(Exception):
    """Base class of our errors, with a message of one line. Exit code 1: the run failed."""

    exit_code = 1


class RequestError(SkinmlError):
    """The request was wrong, and nothing was written. Exit code 2. A retry cannot help."""

    exit_code = 2


class RunError(SkinmlError):
    """The run failed, and a retry cannot help. Example: the counts of images do not add up."""


class OverlapError(RunError):
    """Another run has done the same work at the same time and was first. A repetition may succeed."""


class UnusableImagesError(RunError):
    """Too many images cannot be used. `counts` says how many and why, and names no image and no place."""

    def __init__(self, message: str, counts: str = "") -> None:
        super().__init__(message)
        self.counts = counts


class StorageError(SkinmlError):
    """Storage failed. A retry may help, so the retries look for this class."""


class ImageRejected(Exception):  # noqa: N818 - an outcome that is counted, not a failure of the run
    """One image cannot be used. It is quarantined with this reason, and the run goes on."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)  # both in args, so that it survives pickling between processes
        self.reason = reason
        self.detail = detail
