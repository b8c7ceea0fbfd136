"""Whole runs over the hostile corpus: every file ends where it should, and nothing else happens."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import Client

from skinml import tables
from skinml.storage.urls import file_uri, image_id
from tests.command import Answer, CommandLine
from tests.hostile import contents
from tests.hostile.content import DECODED
from tests.hostile.make import PATIENT, picture, save
from tests.hostile.metadata_tables import read_all
from tests.hostile.names import (
    CONTROL_NAMES,
    IGNORED,
    NO_METADATA,
    ODD_BYTES,
    PLAIN_NAMES,
    TWICE,
    UNREADABLE,
    longest_path,
    metadata_csv,
    places,
    too_long_path,
)
from tests.services.processes import service, wait_for
from tests.services.seaweedfs import ObjectStore
from tests.unit.compute import clusters

pytestmark = pytest.mark.slow

BUCKET_NAMES = PLAIN_NAMES | CONTROL_NAMES
"""Without CONTROL_NAMES for an object store, or a client, that cannot list them."""

DUPLICATE = "duplicate_id"

MOSTLY_BAD = ["--max-quarantined", "100%"]
"""These are bad on purpose."""


@dataclass(frozen=True)
class Archive:
    """A hostile archive: where it lies, what is right for each of its images, and how much is not an image."""

    url: str
    right: dict[str, tuple[str, ...]]
    ignored: int
    metadata: Path

    def flags(self) -> list[object]:
        """What `prepare` is told of it."""
        return ["--images", self.url, "--metadata", self.metadata, "--size", 16, *MOSTLY_BAD]

    def right_for_scores(self) -> dict[str, tuple[str, ...]]:
        """The same where nobody asks for metadata."""
        needless = {NO_METADATA, DUPLICATE}
        return {uri: (DECODED,) if needless & {*right} else right for uri, right in self.right.items()}


@dataclass(frozen=True)
class Workers:
    """A Dask cluster of two workers that may take 3 GiB each, started once: its address, and what it says."""

    address: str
    logs: tuple[Path, ...]

    def processes(self) -> set[int]:
        """Who is at work: another process in the place of one that died."""
        with Client(self.address, set_as_default=False) as client:
            return set(client.run(os.getpid).values())

    def said(self) -> str:
        """All logs."""
        return "".join(log.read_text() for log in self.logs)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory, object_store: ObjectStore) -> Iterator[Workers]:
    """Workers outlive a run here, so that one that died can be told from one that ended."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    scheduler = [*clusters.SCHEDULER, "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    scheduler += ["--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file)]
    worker = [*clusters.WORKER, "--scheduler-file", str(file), "--host", "127.0.0.1", "--nworkers", "2"]
    worker += ["--nthreads", "1", "--memory-limit", "3GiB", "--no-dashboard", "--local-directory", str(folder)]
    logs = (folder / "scheduler.log", folder / "worker.log")
    with ExitStack() as running:
        running.enter_context(service(scheduler, {}, logs[0]))
        wait_for(lambda: file.exists() and bool(file.read_text()), 60, "the Dask scheduler")
        running.enter_context(service(worker, object_store.environment(), logs[1]))
        found = Workers(json.loads(file.read_text())["address"], logs)
        wait_for(lambda: len(found.processes()) == 2, 60, "two workers")
        yield found


def right_of_contents() -> dict[str, tuple[str, ...]]:
    """By name."""
    return {content.name: content.right for content in contents()}


def sound_files(names: Iterable[str]) -> dict[str, bytes]:
    """A picture of its own for every name."""
    return {name: save(picture(seed=seed), "JPEG") for seed, name in enumerate(names, 100)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Everything that a folder can hold. Shared by the module: runs do not write to it, which is tested."""
    base = tmp_path_factory.mktemp("hostile")
    root = base / "archive"
    names = PLAIN_NAMES | CONTROL_NAMES | ODD_BYTES
    twice = [name for pair in TWICE for name in pair]
    longest = longest_path(root)
    files = {root / "contents" / content.name: content.data for content in contents()}
    files |= {root / "names" / name: data for name, data in sound_files(names).items()}
    files |= {root / "twice" / name: data for name, data in sound_files(twice).items()}
    files[longest] = save(picture(), "PNG")
    for path, data in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    right = {root / "contents" / name: one for name, one in right_of_contents().items()}
    right |= {root / "names" / name: (one,) for name, one in names.items()}
    right |= {root / "twice" / name: (DECODED, DUPLICATE) for name in twice}
    right |= {longest: (DECODED,), too_long_path(root): (UNREADABLE,)}
    (root / "places").mkdir()
    for place in places(root / "places", base / "outside"):
        place.make(root / "places" / place.name)
        right[root / "places" / place.name] = (place.right,)
    return with_metadata(str(root), {file_uri(str(path)): one for path, one in right.items()}, base)


@pytest.fixture
def bucket_prefix(opened: ObjectStore, shared_bucket: str, tmp_path: Path) -> Archive:
    """What of it a bucket can hold."""
    url = f"s3://{shared_bucket}/hostile {tmp_path.name}"
    files = {f"{url[5:]}/contents/{content.name}": content.data for content in contents()}
    files |= {f"{url[5:]}/names/{name}": data for name, data in sound_files(BUCKET_NAMES).items()}
    opened.files().pipe(files)
    right = {f"{url}/contents/{name}": one for name, one in right_of_contents().items()}
    right |= {f"{url}/names/{name}": (one,) for name, one in BUCKET_NAMES.items()}
    return with_metadata(url, right, tmp_path)


def with_metadata(url: str, right: dict[str, tuple[str, ...]], folder: Path) -> Archive:
    """A row of metadata for each image_id that a CSV can say."""
    listed = {uri: one for uri, one in right.items() if one != (IGNORED,)}
    image_ids = {image_id(uri) for uri, one in listed.items() if one != (NO_METADATA,)}
    metadata = folder / "metadata.csv"
    metadata.write_bytes(metadata_csv(sorted(image_ids)))
    return Archive(url, listed, len(right) - len(listed), metadata)


def outcomes(workspace: str, flow: str) -> dict[str, tuple[str, ...]]:
    """What became of every image, by uri, from the tables."""
    done = tables.read(workspace, {"prepare": "samples", "score": "scores"}[flow]).to_pandas()
    refused = tables.read(workspace, "quarantine").to_pandas().query("flow == @flow")
    rows = [(uri, DECODED) for uri in done["uri"]]
    rows += [*zip(refused["uri"], refused["reason"], strict=True)]
    found: dict[str, tuple[str, ...]] = {}
    for uri, outcome in rows:
        found[uri] = (*found.get(uri, ()), outcome)
    return found


def check(workspace: str, flow: str, right: dict[str, tuple[str, ...]], first: Answer, again: Answer) -> None:
    """Every file is where it should be, the numbers add up, and the second run did nothing anew."""
    found = outcomes(workspace, flow)
    once = {uri: {*one} for uri, one in found.items()}
    wrong = {uri: (found.get(uri), one) for uri, one in right.items() if not once.get(uri, {None}) <= {*one}}
    assert not wrong
    assert found.keys() == right.keys()
    tried_again = {uri for uri, one in once.items() if one == {UNREADABLE}}
    assert not [uri for uri, one in found.items() if len(one) > 1 and uri not in tried_again]

    done = {"prepare": "prepared", "score": "scored"}[flow]
    counts = Counter(outcome for one in once.values() for outcome in one)
    result = first.result
    assert (result["listed"], result["skipped"], result[done]) == (len(right), 0, counts.pop(DECODED))
    assert result["reasons"] == dict(counts)
    result = again.result
    assert (result["listed"], result[done], result["quarantined"]) == (len(right), 0, len(tried_again))
    assert result["skipped"] == len(right) - len(tried_again)
    for run in tables.read(workspace, "runs").to_pylist():
        assert run["status"] == "completed"
        assert run["listed"] == run["skipped"] + run["done"] + run["quarantined"]


def everything_below(*folders: Path) -> dict[bytes, tuple[int, ...] | bytes]:
    """Names, kinds, sizes and times of all that lies there; links by what they say."""
    found: dict[bytes, tuple[int, ...] | bytes] = {}
    for folder in folders:
        for place, subfolders, files, opened in os.fwalk(os.fsencode(folder)):
            for name in (b".", *subfolders, *files):
                status = os.stat(name, dir_fd=opened, follow_symlinks=False)
                path = place + b"/" + name
                found[path] = (status.st_mode, status.st_size, status.st_mtime_ns)
                if stat.S_ISLNK(status.st_mode):
                    found[path] = os.readlink(name, dir_fd=opened)
    return found


def bytes_below(workspace: Path) -> bytes:
    """All that a workspace says: its files, and its Parquet files unpacked."""
    said = b""
    for path in workspace.rglob("*"):
        said += path.name.encode() + (path.read_bytes() if path.is_file() else b"")
        if path.suffix == ".parquet":
            table = pq.read_table(path, partitioning=None)
            texts = [column for column in table.columns if pa.types.is_string(column.type)]
            said += "\n".join(str(column.to_pylist()) for column in texts).encode()
    return said


@pytest.mark.parametrize("mode", ["fast", pytest.param("exact", marks=pytest.mark.drill)])
def test_every_file_of_a_folder_ends_where_it_should(
    mode: str,
    folder: Archive,
    workers: Workers,
    skinml: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    surroundings = (folder.metadata.parent, tmp_path / "here")
    before, at_work = everything_below(*surroundings), workers.processes()
    workspace = str(tmp_path / "workspace")
    asked = ["--workspace", workspace, "prepare", *folder.flags(), "--decode", mode]
    asked += ["--cluster", workers.address]

    first, again = skinml(*asked), skinml(*asked)

    check(workspace, "prepare", folder.right, first, again)
    assert first.result["ignored"] == folder.ignored
    samples = tables.read(workspace, "samples").to_pandas()
    assert samples["image_id"].is_unique  # one of each pair, whichever came first
    assert {f"{stem}" for stem in ("twice", "same name", "\ufffd")} <= {*samples["image_id"]}

    assert workers.processes() == at_work, "a worker died"
    assert "restart" not in (workers.said() + first.stderr + again.stderr).lower()
    assert everything_below(*surroundings) == before, "something was written outside of the workspace"
    assert {path.name for path in tmp_path.iterdir()} == {"here", "workspace"}
    said = bytes_below(tmp_path / "workspace")
    assert said.count(first.result["run_id"].encode()) > len(folder.right), "tables are searched too"
    for part in PATIENT.split():
        assert part.encode() not in said
        assert part.encode("utf-16-le") not in said


def test_every_object_of_a_bucket_ends_where_it_should(
    bucket_prefix: Archive, workers: Workers, skinml: CommandLine
) -> None:
    at_work = workers.processes()
    workspace = f"{bucket_prefix.url} workspace"
    asked = ["--workspace", workspace, "prepare", *bucket_prefix.flags(), "--cluster", workers.address]
    first, again = skinml(*asked), skinml(*asked)
    check(workspace, "prepare", bucket_prefix.right, first, again)
    assert first.result["ignored"] == bucket_prefix.ignored
    assert workers.processes() == at_work, "a worker died"


def test_every_file_is_scored_or_quarantined(
    folder: Archive, workers: Workers, trained: Path, skinml: CommandLine, tmp_path: Path
) -> None:
    """By content alone: labels are not asked for, and two files of one name are two images."""
    before, at_work = everything_below(folder.metadata.parent), workers.processes()
    workspace = str(shutil.copytree(trained, tmp_path / "workspace"))
    asked = ["--workspace", workspace, "score", "--archive", folder.url, "--cluster", workers.address]
    asked += MOSTLY_BAD
    first, again = skinml(*asked), skinml(*asked)
    check(workspace, "score", folder.right_for_scores(), first, again)
    assert workers.processes() == at_work, "a worker died"
    assert everything_below(folder.metadata.parent) == before, "something was written outside of the workspace"


def test_every_table_of_metadata_is_read_or_refused_as_it_should(
    place: str, put: Callable[[str, bytes], None]
) -> None:
    found = read_all(place, put)
    assert {name: said for name, (said, _) in found.items() if said} == {}
