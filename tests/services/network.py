"""Hosts with a bucket, a Dask scheduler and workers: what the drills on several hosts share."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from skinml import tables
from skinml.lab.drill.object_store import find_weed
from skinml.schemas import PROBABILITY_COLUMNS
from tests.services.hosts import Host, hosts
from tests.services.processes import wait_for

KEYS = {"AWS_ACCESS_KEY_ID": "testkey", "AWS_SECRET_ACCESS_KEY": "testsecret", "AWS_REGION": "us-east-1"}

PUT = """
import sys, time, s3fs
for _ in range(120):  # until the server is there
    try:
        files = s3fs.S3FileSystem(skip_instance_cache=True)
        bucket = sys.argv[2].split("/")[0]
        files.exists(bucket) or files.mkdir(bucket)
        break
    except Exception:
        time.sleep(0.5)
files.put(sys.argv[1], sys.argv[2], recursive=True)
"""


@dataclass(frozen=True)
class Network:
    """A host with the bucket, one with the scheduler and two workers, and one with more workers."""

    bucket: Host
    first: Host
    second: Host
    folder: Path
    environment: Mapping[str, str]
    protocol: str

    @property
    def scheduler(self) -> str:
        return f"{self.protocol}://{self.first.address}:8786"


@contextmanager
def network(folder: Path, protocol: str) -> Iterator[Network]:
    """Hosts, S3, a scheduler, two workers on the first host and one on the second."""
    with ExitStack() as stack:
        bucket, first, second = stack.enter_context(hosts(["bucket", "first", "second"], folder))
        environment = {
            **KEYS,
            "AWS_ENDPOINT_URL": f"http://{bucket.address}:8333",
            "AWS_EC2_METADATA_DISABLED": "true",
            **(certificates([first.disk, second.disk]) if protocol == "tls" else {}),
        }
        made = Network(bucket, first, second, folder, environment, protocol)
        start_bucket(bucket, folder)
        dask = [sys.executable, "-m", "dask"]
        start = [*dask, "scheduler", "--protocol", protocol, "--host", first.address, "--port", "8786"]
        first.start([*start, "--no-dashboard"], environment, folder / "scheduler.log")
        for number in range(2):
            worker(made, first, f"first-{number}")
        worker(made, second, "second-0")
        yield made


def start_bucket(host: Host, folder: Path) -> None:
    """Start an S3 server on a host."""
    weed = [str(find_weed()), "mini", "-dir=/tmp", f"-ip={host.address}", f"-ip.bind={host.address}"]
    weed += ["-webdav=false", "-admin.ui=false", "-master.telemetry=false", "-volume.max=10000"]
    weed += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    host.start(weed, KEYS, folder / "weed.log")


def worker(made: Network, host: Host, name: str, supervised: bool = False) -> subprocess.Popen[bytes]:
    """Start a worker with a nanny, as an operator would.

    Args:
        made: the network.
        host: where.
        name: of the worker, and of its log.
        supervised: start it again when it ends, as systemd does: a worker that was cut off ends.
    """
    command = [sys.executable, "-m", "dask", "worker", made.scheduler, "--nthreads", "1", "--no-dashboard"]
    command += ["--name", name, "--host", host.address, "--local-directory", "/tmp/dask"]  # noqa: S108
    if supervised:
        command = ["bash", "-c", 'while :; do "$@"; sleep 2; done', "-", *command]
    return host.start(command, made.environment, made.folder / f"worker-{name}.log")


def run(made: Network, name: str, *arguments: object, meanwhile: Callable[[Path], None] | None = None) -> Any:
    """A verb on the first host, with JSON; what it printed."""
    log = made.folder / f"{name}.log"
    command = [sys.executable, "-P", "-m", "skinml", "--json", *map(str, arguments)]
    process = made.first.start(command, made.environment, log)
    if meanwhile is not None:
        meanwhile(log)
    assert process.wait(1200) == 0, log.read_text()[-4000:]
    return json.loads(log.read_text().splitlines()[-1])


def certificates(disks: Sequence[Path]) -> dict[str, str]:
    """A certificate for everybody, on each host's disk, and Dask's own variables that name it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "skinml test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = serialization.PrivateFormat.PKCS8
    for disk in disks:
        (disk / "key.pem").write_bytes(
            key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
        )
        (disk / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    variables = {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": "/tmp/cert.pem"}  # noqa: S108 - the hosts' own
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        variables[f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"] = "/tmp/cert.pem"  # noqa: S108
        variables[f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY"] = "/tmp/key.pem"  # noqa: S108
    return variables


def kill_when_busy(host: Host) -> None:
    """SIGKILL a worker process of a host that has begun to use its core."""
    listed = subprocess.run(["ip", "netns", "pids", host.name], capture_output=True, text=True, check=True)
    workers = {}
    for pid in map(int, listed.stdout.split()):
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if any("spawn_main" in word for word in process.cmdline()):
                workers[process] = process.cpu_times().user

    def busy() -> list[psutil.Process]:
        return [process for process, before in workers.items() if process.cpu_times().user > before + 0.3]

    wait_for(lambda: bool(busy()), 60, "a worker that works")
    busy()[0].kill()


def put(made: Network, source: Path, place: str) -> None:
    """Copy a folder into the bucket, from a host on the network."""
    shutil.copytree(source, made.first.disk / "source", dirs_exist_ok=True)
    command = [sys.executable, "-c", PUT, "/tmp/source/", place]  # noqa: S108
    process = made.first.start(command, made.environment, made.folder / "put.log")
    assert process.wait(600) == 0, (made.folder / "put.log").read_text()[-2000:]
    shutil.rmtree(made.first.disk / "source")


def fetched(made: Network, place: str) -> Path:
    """A copy of a workspace from the bucket, to look at here."""
    program = "import sys, s3fs; s3fs.S3FileSystem().get(sys.argv[1], sys.argv[2], recursive=True)"
    command = [sys.executable, "-c", program, place, "/tmp/fetched"]  # noqa: S108
    process = made.first.start(command, made.environment, made.folder / "get.log")
    assert process.wait(600) == 0, (made.folder / "get.log").read_text()[-2000:]
    return made.first.disk / "fetched"


def content(workspace: Path, table: str, columns: list[str]) -> pd.DataFrame:
    """Rows of a table by image, without what differs between two places."""
    rows = tables.read(str(workspace), table, columns).to_pandas()
    ordered: pd.DataFrame = rows.sort_values("image_id", ignore_index=True)[columns]
    return ordered


SAMPLES = [
    "image_id",
    "lesion_id",
    "dx",
    "size_bytes",
    "width",
    "height",
    "split",
    "sha256",
    "phash",
    "sharpness",
]
SCORES = ["image_id", "size_bytes", "predicted_dx", "flags", *PROBABILITY_COLUMNS]
