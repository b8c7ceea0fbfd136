"""The place of the story: a bucket, made-up images, `skinml up` with short schedules, somebody on call."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pandas as pd
import psutil
import yaml

from deployments import PREFECT_FILE
from skinml import tables
from skinml.lab.synth import make_archive
from tests.services import seaweedfs
from tests.services.processes import wait_for
from tests.services.seaweedfs import ObjectStore

BUCKET = "clinic"
WORKSPACE = f"s3://{BUCKET}/workspace"
ARCHIVE = f"s3://{BUCKET}/archive"
IMAGES = f"s3://{BUCKET}/labelled/images"
METADATA = f"s3://{BUCKET}/labelled/metadata.csv"

EVERY_MINUTE = {"prepare": "* * * * * 20", "score-nightly": "* * * * * 0"}
"""The schedules of the story, with seconds: the shipped ones run once a night."""

WAIT_SECONDS = 1200.0
"""For anything that nobody asked for: a busy machine trains for minutes."""


@dataclass
class Site:
    """Where everything is."""

    folder: Path
    store: ObjectStore
    told_url: str
    messages: list[str]
    labelled: pd.DataFrame = field(default_factory=pd.DataFrame)
    process: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        """Of `skinml up`."""
        return self.folder / "home"

    def verb(self, *arguments: object, expect: int = 0) -> tuple[dict[str, Any], str]:
        """Run a verb as a person would: its JSON, and what it prints for people."""
        command = [sys.executable, "-P", "-m", "skinml", "--json", *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode != expect:
            raise SystemExit(f"skinml {' '.join(map(str, arguments))}: {done.returncode}\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1]), done.stderr

    def printed(self, *arguments: object, expect: int = 0) -> str:
        """Run a verb and return what a person sees on stdout."""
        command = [sys.executable, "-P", "-m", "skinml", *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode != expect:
            raise SystemExit(f"skinml {' '.join(map(str, arguments))}: {done.returncode}\n{done.stderr}")
        return done.stdout

    def drop_images(self, name: str, count: int, seed: int) -> None:
        """Put new images into the archive."""
        made = make_archive(self.folder / f"made-{name}", count, seed=seed)
        flat = self.folder / f"drop-{name}"
        flat.mkdir()
        for root in made.roots:
            for file in root.glob("*.jpg"):
                file.rename(flat / f"{name}-{file.name}")
        self.store.files().put(f"{flat}/", f"{BUCKET}/archive/{name}/", recursive=True)

    def drop_labels(self, lesions: Sequence[str], pictures: Path) -> None:
        """Put labelled images into the bucket: first the rows of all lesions so far, then the new images."""
        table = pd.read_csv(pictures / "HAM10000_metadata.csv")
        new = table[table["lesion_id"].isin(lesions)]
        self.labelled = pd.concat([self.labelled, new])
        text = self.labelled.to_csv(index=False).encode()
        files = self.store.files()
        files.pipe_file(METADATA.removeprefix("s3://"), text)
        batch = self.folder / "batch"
        shutil.rmtree(batch, ignore_errors=True)
        batch.mkdir()
        wanted = set(new["image_id"])
        for file in pictures.glob("*/*.jpg"):
            if file.stem in wanted:
                shutil.copy(file, batch / file.name)
        files.put(f"{batch}/", f"{BUCKET}/labelled/images/", recursive=True)

    # --- skinml up ------------------------------------------------------------------------------------------

    def up(self) -> str:
        """Start `skinml up`, and wait until it says what is scheduled. What it printed."""
        log = self.folder / "up.log"
        begun = log.stat().st_size if log.exists() else 0
        schedules = self.folder / "every-minute.yaml"
        schedules.write_text(_every_minute(), encoding="utf-8")
        command = [sys.executable, "-P", "-m", "skinml", "up", "--port", "0", "--gpu-worker"]
        command += ["--home", str(self.home), "--deployments", str(schedules)]
        with log.open("ab") as output:
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=output, stderr=output)

        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, log.read_text()
            return "running; Ctrl-C stops everything" in log.read_text()[begun:]

        wait_for(ready, WAIT_SECONDS, "skinml up")
        return log.read_text()[begun:].replace(str(self.home), "~/.skinml")

    def state(self) -> dict[str, Any]:
        """What the running `up` says of itself."""
        found: dict[str, Any] = json.loads((self.home / "up.json").read_text())
        return found

    def lose_power(self) -> int:
        """SIGKILL for `up` and all that it started, at once. How many processes that were."""
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        victims = [parent, *parent.children(recursive=True)]
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        psutil.wait_procs(victims, timeout=60)
        self.process.wait()
        return len(victims)

    def down(self) -> None:
        """Stop it as systemd does. Background jobs of a shell ignore Ctrl-C, and so does an `up` in them."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(120)

    def ask(self, what: str, **query: Any) -> list[dict[str, Any]]:
        """Ask Prefect's API, without our code."""
        answer = httpx.post(f"{self.state()['url']}/{what}/filter", json=query, timeout=60)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found

    # --- tables ---------------------------------------------------------------------------------------------

    def rows(self, table: str) -> pd.DataFrame:
        """A table of the workspace; empty if there is none yet."""
        found: pd.DataFrame = tables.read(WORKSPACE, table).to_pandas()
        return found

    def runs(self, flow: str, status: str = "completed") -> pd.DataFrame:
        """The rows of `runs` of a flow, oldest first."""
        rows = self.rows("runs")
        found: pd.DataFrame = rows[(rows["flow"] == flow) & (rows["status"] == status)]
        return found.sort_values("started_at")

    def wait(self, ready: Callable[[], bool], what: str) -> None:
        """Wait for something that nobody asked for."""
        wait_for(ready, WAIT_SECONDS, what)


def _every_minute() -> str:
    """The shipped deployments with shorter schedules, and retrainings that need no person."""
    shipped = yaml.safe_load(PREFECT_FILE.read_text(encoding="utf-8"))
    for deployment in shipped["deployments"]:
        if deployment["name"] in EVERY_MINUTE:
            cron = EVERY_MINUTE[deployment["name"]]
            deployment["schedules"] = [{"cron": cron, "timezone": "UTC", "active": True}]
        if deployment["name"] == "retrain":
            deployment["parameters"]["request"]["approve"] = "auto"
    text: str = yaml.safe_dump(shipped, sort_keys=False)
    return text


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """A bucket, a receiver of notifications, and the environment of every process of the story."""
    folder.mkdir(parents=True, exist_ok=True)
    with seaweedfs.running(folder / "s3") as store, _receiver() as (url, messages):
        store.files().mkdir(BUCKET)
        chosen = {
            **store.environment(),
            "SKINML_WORKSPACE": WORKSPACE,
            "SKINML_HOME": str(folder / "home"),
            "SKINML_ARCHIVE": ARCHIVE,
            "SKINML_IMAGES": IMAGES,
            "SKINML_METADATA": METADATA,
            "SKINML_NOTIFY": url,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }
        with _environment(chosen):
            made = Site(folder, store, url, messages)
            try:
                yield made
            finally:
                made.down()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _receiver() -> Iterator[tuple[str, list[str]]]:
    """Somebody on call: an HTTP server that keeps what it is told."""
    messages: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/on-call", messages
    finally:
        server.shutdown()
        server.server_close()
