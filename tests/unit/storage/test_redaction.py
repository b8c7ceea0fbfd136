"""Tests of skinml/storage/redaction.py."""

from __future__ import annotations

import traceback

import pytest
from botocore.exceptions import ClientError
from obstore.exceptions import GenericError

from skinml.storage.connection import explained
from skinml.storage.redaction import hide, redact, redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:pass@host:80/b/k failed", "http://***@host:80/b/k failed"),
        ("HTTPS://user:p%40ss@host", "HTTPS://***@host"),
        ("through socks5h://user:pass@[::1]:1080", "through socks5h://***@[::1]:1080"),
        ("user:pass@host:8333 is no endpoint", "***@host:8333 is no endpoint"),
        (
            "GET http://h/b/k?X-Amz-Credential=AK%2F2026&X-Amz-Signature=abc&partNumber=1 in 3 ms",
            "GET http://h/b/k?X-Amz-Credential=***&X-Amz-Signature=***&partNumber=1 in 3 ms",
        ),
        (
            "GET http://h/b?prefix=x%3FX-Amz-Signature%3Dabc&n=1",
            "GET http://h/b?prefix=x%3FX-Amz-Signature%3D***&n=1",
        ),
        ("GET http://h/b?prefix=x%3Ftoken%3Dabc in 3 ms", "GET http://h/b?prefix=x%3Ftoken%3D*** in 3 ms"),
        ("?AWSAccessKeyId=AK&Signature=a%2Bb&Expires=1", "?AWSAccessKeyId=***&Signature=***&Expires=1"),
        ("x-amz-security-token:IQoJb3JpZ2lu\nhost:h", "x-amz-security-token:***\nhost:h"),
        ("AWS_SECRET_ACCESS_KEY=abc, AWS_REGION=r", "AWS_SECRET_ACCESS_KEY=***, AWS_REGION=r"),
        ("Signature=abcdef, SignedHeaders=host", "Signature=***, SignedHeaders=host"),
    ],
)
def test_secrets_are_taken_out(text: str, shown: str) -> None:
    assert redacted(text) == shown
    assert redacted(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/a prefix/ä%20@2x.jpg: not found",
        "s3://bucket/a:b@2x.jpg: not found",
        "http://127.0.0.1:8333/bucket/key?list-type=2&prefix=a",
        "access refused; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_PROFILE, and the policy",
        "Error performing GET http://h/b/user@example.org.jpg in 5.403s",
        "2026-11-27 08:00:00 connection reset",
    ],
)
def test_all_else_stays(text: str) -> None:
    assert redacted(text) == text


def test_a_secret_that_is_known_is_found_anywhere() -> None:
    hide("wJalrXUtnFEMI", None, "", "short")
    assert redacted("<Key>wJalrXUtnFEMI</Key> short") == "<Key>***</Key> short"


def test_causes_are_cleaned_too() -> None:
    hide("a-secret-of-the-test")
    cause = GenericError("a-secret-of-the-test in the body")
    error = OSError(5, "a-secret-of-the-test")
    error.__cause__ = cause
    redact(error)
    text = "".join(traceback.format_exception(error))
    assert "a-secret-of-the-test" not in text
    assert error.errno == 5
    assert "***" in str(error)


@pytest.mark.parametrize(
    "error",
    [
        GenericError(
            "Generic S3 error: http://u:hidden@h/ X-Amz-Signature=hidden <Token>a-secret-of-the-test</Token>"
        ),
        OSError(5, "http://u:hidden@h/: a-secret-of-the-test"),
        PermissionError(13, "http://u:hidden@h/: a-secret-of-the-test"),
        ClientError({"Error": {"Code": "500", "Message": "a-secret-of-the-test"}}, "X-Amz-Signature=hidden"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_storage_raises_shows_none(error: Exception) -> None:
    hide("a-secret-of-the-test")
    with pytest.raises(Exception) as shown, explained("s3://bucket/key"):  # noqa: PT011
        raise error
    text = "".join(traceback.format_exception(shown.value)[-1:]) + str(shown.value.__cause__)
    assert "hidden" not in text
    assert "a-secret-of-the-test" not in text
