"""Tests of skinml/storage/endpoint.py."""

from __future__ import annotations

import pytest

from skinml.errors import RequestError
from skinml.storage.endpoint import checked_endpoint, proxy_before


@pytest.mark.parametrize(
    ("value", "endpoint"),
    [
        ("http://127.0.0.1:8333", "http://127.0.0.1:8333"),
        ("HTTP://HOST:80/", "http://host:80"),
        ("https://S3.Example.org", "https://s3.example.org"),
        ("http://[::1]:8333", "http://[::1]:8333"),
        ("https://s3.example.org//", "https://s3.example.org"),
        (" http://host\n", "http://host"),
    ],
)
def test_an_endpoint_has_one_spelling(value: str, endpoint: str) -> None:
    assert checked_endpoint("AWS_ENDPOINT_URL", value) == endpoint


@pytest.mark.parametrize(
    ("value", "shown", "why"),
    [
        ("127.0.0.1:8333", "127.0.0.1:8333", "it has no scheme"),
        ("localhost", "localhost", "it has no scheme"),
        ("http://", "http://", "it has no host"),
        ("http:///bucket", "http:///bucket", "it has no host"),
        ("http://a host", "http://a host", "it has no host"),
        ("http://host:abc", "http://host:abc", "its host or port is not valid"),
        ("http://host:99999", "http://host:99999", "its host or port is not valid"),
        ("http://[::1", "http://[::1", "its host or port is not valid"),
        ("ftp://host", "ftp://host", "ftp:// is not supported"),
        ("s3://bucket", "s3://bucket", "s3:// is not supported"),
        ("http://host/path", "http://host/path", "it has a path or query after host and port"),
        ("http://host#part", "http://host#part", "it has a path or query after host and port"),
        ("http://host?X-Amz-Signature=hidden", "http://host?***", "it has a path or query after host and port"),
        (
            "http://host/b/k?X-Amz-Credential=hidden",
            "http://host/b/k?***",
            "it has a path or query after host and port",
        ),
        ("http://user:hidden@host:1", "http://***@host:1", "it contains a user or password"),
        ("http://user:hid/hidden@host:1", "http://***@host:1", ""),
        ("http://user:hid@hidden@host:1", "http://***@host:1", "it contains a user or password"),
        ("http://user:hidden?hidden#hidden@host:1", "http://***@host:1", ""),
        ("user:hidden@host:8333", "***@host:8333", "it contains a user or password"),
        ("https://hidden@host", "https://***@host", "it contains a user or password"),
    ],
)
def test_what_is_no_endpoint_is_refused_and_no_secret_shown(value: str, shown: str, why: str) -> None:
    with pytest.raises(RequestError) as refusal:
        checked_endpoint("AWS_ENDPOINT_URL", value)
    text = str(refusal.value)
    assert text.startswith(f"AWS_ENDPOINT_URL={shown!r} is not an S3 endpoint: {why}")
    assert text.endswith("; write http://host:port or https://host:port")
    assert "hidden" not in text
    assert refusal.value.__cause__ is None


ENDPOINT = "http://10.1.2.3:8333"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_is_found_whatever_its_spelling(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://not-this-one:1")
    monkeypatch.setenv(name, "http://user:a-password@Gate:3128")
    proxy = proxy_before(ENDPOINT)
    assert proxy is not None
    assert (proxy.variable, proxy.host, proxy.used) == (name, "gate:3128", True)
    assert proxy.url == "http://user:a-password@Gate:3128"
    monkeypatch.delenv(name)
    assert proxy_before(ENDPOINT) is None


def test_the_schemes_own_proxy_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://all:1")
    monkeypatch.setenv("HTTPS_PROXY", "https://secure:2")
    assert [proxy.host for url in ("http://s3:1", "https://s3") if (proxy := proxy_before(url))] == [
        "all:1",
        "secure:2",
    ]


@pytest.mark.parametrize("excepted", ["10.1.2.3", "10.0.0.0/8", "*", "other, 10.1.2.3", "10.1.2.3:8333"])
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_excepts_hosts_and_networks(name: str, excepted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gate:3128")
    monkeypatch.setenv(name, excepted)
    proxy = proxy_before(ENDPOINT)
    assert proxy is not None
    assert (proxy.used, proxy.url) == (False, "http://gate:3128")


@pytest.mark.parametrize("excepted", ["", "10.1.2.4", "192.168.0.0/16", "10.1.2.3:1"])
def test_other_hosts_are_not_excepted(excepted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gate:3128")
    monkeypatch.setenv("NO_PROXY", excepted)
    proxy = proxy_before(ENDPOINT)
    assert proxy is not None
    assert proxy.used


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("socks5://gate:1080", "socks5://gate:1080"),
        ("http://user:hidden@gate:abc", "***@gate:abc"),
        ("http://", "http://"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_unless_it_is_not_asked(
    value: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(RequestError) as refusal:
        proxy_before(ENDPOINT)
    assert str(refusal.value) == (
        f"ALL_PROXY={shown} is not a proxy that S3 can be reached through; "
        "write http://host:port, or add 10.1.2.3 to NO_PROXY"
    )
    monkeypatch.setenv("NO_PROXY", "10.1.2.3")
    assert proxy_before(ENDPOINT) is None
