"""Conditional puts are what commits rest on: a store without them is refused, and the probe leaves nothing."""

from __future__ import annotations

import secrets

import pytest

from skinml.errors import RequestError
from skinml.storage import connection
from skinml.storage.conditional_puts import PROBE
from skinml.storage.objects import check_writable, read_bytes, write_bytes
from skinml.storage.tree import walk
from tests.command import CommandLine
from tests.conftest import MadeUp
from tests.services.faults import faulty
from tests.services.seaweedfs import ObjectStore


def test_a_store_that_ignores_if_none_match_is_refused_and_nothing_stays(
    opened: ObjectStore, shared_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = f"s3://{shared_bucket}/{secrets.token_hex(6)}"
    write_bytes(f"{workspace}/old", b"1")
    connection.bucket.cache_clear()
    with faulty(opened.endpoint, lambda _: None, unconditional=(opened.access_key, opened.secret_key)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        with pytest.raises(RequestError) as refusal:
            check_writable(workspace)
        assert list(walk(workspace)) == ["old"]
    assert str(refusal.value).startswith(
        f"workspace {workspace}: this store does not honour conditional puts (If-None-Match)"
    )
    assert "lose rows" in str(refusal.value)
    assert any("if-none-match" in headers for headers in proxy.headers), "or this shows nothing"


def test_a_run_is_refused_there(
    opened: ObjectStore,
    shared_bucket: str,
    made_up: MadeUp,
    monkeypatch: pytest.MonkeyPatch,
    skinml: CommandLine,
) -> None:
    place = f"s3://{shared_bucket}/{secrets.token_hex(6)}"
    with faulty(opened.endpoint, lambda _: None, unconditional=(opened.access_key, opened.secret_key)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        asked = ("prepare", *made_up.flags())
        answer = skinml("--workspace", place, *asked, expect=2)
        assert list(walk(place)) == []
    assert "does not honour conditional puts (If-None-Match)" in answer.stderr.splitlines()[-1]


def test_a_probe_that_another_run_has_put_is_enough(opened: ObjectStore, shared_bucket: str) -> None:
    workspace = f"s3://{shared_bucket}/{secrets.token_hex(6)}"
    write_bytes(f"{workspace}/{PROBE}", b"of another run")
    check_writable(workspace)
    assert read_bytes(f"{workspace}/{PROBE}") == b"of another run"


@pytest.mark.usefixtures("opened")
def test_conditional_puts_that_are_switched_off_are_refused(
    shared_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    workspace = f"s3://{shared_bucket}/{secrets.token_hex(6)}"
    with pytest.raises(RequestError, match="switched off by AWS_CONDITIONAL_PUT"):
        check_writable(workspace)
    monkeypatch.delenv("AWS_CONDITIONAL_PUT")
    connection.bucket.cache_clear()
    assert list(walk(workspace)) == []
