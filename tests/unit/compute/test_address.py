"""Tests of skinml/compute/address.py, against real schedulers and things that are none."""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import dask
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from skinml.compute import connect, map_shards
from skinml.errors import RequestError
from tests.unit.compute import clusters, work


def test_an_existing_scheduler_is_used_and_left_alone(tmp_path: Path) -> None:
    with clusters.scheduler(tmp_path) as scheduler, clusters.worker(scheduler.address, tmp_path):
        for _ in range(2):
            with connect(scheduler.address) as client:
                assert client.scheduler.address == scheduler.address
                assert sorted(map_shards(client, work.square, range(3))) == [0, 1, 4]


@pytest.mark.parametrize(
    "address", ["nonsense", "127.0.0.1", "http://127.0.0.1:8786", "tcp://", "tcp://127.0.0.1:x"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(RequestError) as refusal, connect(address):
        pass
    assert str(refusal.value) == f"--cluster {address}: no Dask scheduler answers at this address"


def test_where_no_scheduler_answers_it_says_so_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody at one port, and somebody who says nothing at another."""
    from skinml.compute import address as opener

    assert opener.ANSWER_SECONDS <= 12, "a person waits for this"
    monkeypatch.setattr(opener, "ANSWER_SECONDS", 1)  # the test waits as well

    def refused(address: str) -> tuple[str, float]:
        started = time.monotonic()
        with pytest.raises(RequestError) as refusal, connect(address):
            pass
        return str(refusal.value), time.monotonic() - started

    with socket.socket() as silent, socket.socket() as closed, ThreadPoolExecutor() as pool:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closed.bind(("127.0.0.1", 0))  # bound, not listening
        addresses = [f"tcp://127.0.0.1:{end.getsockname()[1]}" for end in (silent, closed)]
        for address, (refusal, seconds) in zip(addresses, pool.map(refused, addresses), strict=True):
            assert refusal == f"--cluster {address}: no Dask scheduler answers at this address"
            assert seconds < 6


# tls://


def certificate(folder: Path, name: str) -> dict[str, str]:
    """A key and a certificate that vouches for itself: Dask's configuration for all three roles."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = {"cert": folder / f"{name}.crt", "key": folder / f"{name}.key"}
    files["cert"].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files["key"].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    roles = {
        f"distributed.comm.tls.{role}.{kind}": str(file)
        for role in ("client", "scheduler", "worker")
        for kind, file in files.items()
    }
    return {"distributed.comm.tls.ca-file": str(files["cert"]), **roles}


def as_variables(config: dict[str, str]) -> dict[str, str]:
    """Dask's configuration in the environment."""
    return {f"DASK_{name.replace('.', '__').replace('-', '_').upper()}": file for name, file in config.items()}


def test_tls_works_with_dasks_own_configuration_and_not_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, other = certificate(tmp_path, "ours"), certificate(tmp_path, "another")
    environment = as_variables(config)
    with (
        clusters.scheduler(tmp_path, "--protocol", "tls", environment=environment) as scheduler,
        clusters.worker(scheduler.address, tmp_path, environment=environment),
    ):
        assert scheduler.address.startswith("tls://127.0.0.1:")
        with dask.config.set(config), connect(scheduler.address) as client:
            [(process, _, _)] = map_shards(client, work.who, [0])
            assert process != os.getpid()
        monkeypatch.setattr("skinml.compute.address.ANSWER_SECONDS", 2)  # the test waits as well
        for wrong in ({}, other):
            with dask.config.set(wrong), pytest.raises(RequestError) as refusal, connect(scheduler.address):
                pass
            assert str(refusal.value).startswith(
                f"--cluster {scheduler.address}: no Dask scheduler answers at this address with these "
                "certificates; "
                "Dask's configuration names them: distributed.comm.tls.ca-file, "
            )
            assert "\n" not in str(refusal.value)
