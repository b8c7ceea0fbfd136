"""Tests of skinml/compute/spec.py, kinds.py and cluster_file.py: what `--cluster` may name, and its files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skinml.compute.cluster_file import LARGEST_BYTES
from skinml.compute.kinds import KINDS, check_can_start, load_kind
from skinml.compute.spec import ClusterSpec
from skinml.errors import RequestError
from skinml.requests.base import ClusterRequest
from tests.conftest import REPOSITORY
from tests.effort import examples


@pytest.mark.parametrize(
    ("cluster", "kind"),
    [
        (None, "local"),
        ("tcp://127.0.0.1:8786", "address"),
        ("tls://scheduler:8786", "address"),
        ("127.0.0.1:8786", "address"),
        ("localhost:8786", "address"),
        ("nonsense", "address"),
        *((f"{kind}:some/file.toml", kind) for kind in KINDS),
    ],
)
def test_the_kind_is_what_stands_before_the_colon(cluster: str | None, kind: str) -> None:
    spec = ClusterSpec(cluster)
    assert spec.kind == kind
    assert spec.is_started == (kind in KINDS)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(RequestError) as refusal:
        assert ClusterSpec("slrum:cluster.toml").kind
    assert str(refusal.value) == (
        "--cluster slrum:cluster.toml: there is no kind 'slrum'; use an address (tcp://host:port or "
        "tls://host:port) or KIND:FILE with one of kubernetes, slurm, pbs, lsf, sge, htcondor"
    )


def test_local_is_the_default_by_its_name() -> None:
    assert ClusterRequest(cluster="local").cluster is None


def test_a_machines_own_cluster_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment names none; the worker of Prefect that runs it has the variable."""
    assert ClusterRequest().cluster is None
    monkeypatch.setenv("SKINML_CLUSTER", "tcp://scheduler:8786")
    assert ClusterRequest().cluster == "tcp://scheduler:8786"
    assert ClusterRequest(cluster="local").cluster is None
    monkeypatch.setenv("SKINML_CLUSTER", "local")
    assert ClusterRequest().cluster is None


# Files

SMALLEST = 'workers = 2\nmemory = "1 GiB"\n'


BOMB = "".join(f"x{n}: &x{n} [{', '.join(['a' if not n else f'*x{n - 1}'] * 9)}]\n" for n in range(9))
"""Nine lines of YAML that stand for 400 million values."""


def refusal_of(file: Path) -> str:
    """What is said of a cluster's file for Slurm, after its name."""
    with pytest.raises(RequestError) as refusal:
        check_can_start(f"slurm:{file}", "slurm", str(file))
    said = str(refusal.value)
    assert "\n" not in said
    return said.removeprefix(f"--cluster slurm:{file}: ")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.toml", "workers = ", "not TOML: Invalid value"),
        ("a.yaml", "workers: [", "not YAML: while parsing a flow"),
        ("a.yaml", "- 1", "the file holds no table of keys and values"),
        ("a.toml", b"\xff\xfe", "not TOML: 'utf-8' codec can't decode"),
        ("a.txt", SMALLEST, "the name of the file must end in .toml, .yaml, .yml"),
        ("a.toml", 'memory = "1 GiB"', "the key workers is missing"),
        ("a.toml", SMALLEST + "adaptive = true", "unknown key adaptive; known are workers, cores, memory,"),
        ("a.toml", 'workers = 0\nmemory = "1 GiB"', "workers: Input should be greater than or equal to 1"),
        ("a.toml", 'workers = 2\nmemory = "lots"', "memory: String should match pattern"),
        ("a.toml", SMALLEST + 'queue = "a b"', "queue: String should match pattern"),
        ("a.toml", SMALLEST + 'prologue = ["a\\nb"]', "prologue.0: String should match pattern"),
        (
            "a.toml",
            SMALLEST + 'shared_directory = "/nowhere"',
            "shared_directory: /nowhere is no folder that this",
        ),
        ("a.toml", SMALLEST + 'log_directory = "/a b"', "log_directory: '/a b' contains ' ', which job"),
        ("a.toml", SMALLEST + "python = '/a/$(id)'", "python: '/a/$(id)' contains '$', which job scripts"),
        ("a.toml", SMALLEST + 'local_directory = "/a;id"', "local_directory: '/a;id' contains ';'"),
        ("a.toml", SMALLEST + 'interface = "ib0;id"', "interface: String should match pattern"),
        ("a.toml", SMALLEST + 'host = "--preload"', "host: String should match pattern"),
        ("a.toml", SMALLEST + 'job_name = "a`id`"', "job_name: String should match pattern"),
        ("a.yaml", BOMB, "more than 100,000 values, or deeper than 50: no cluster's file"),
        ("a.yaml", "a: &a [*a]", "more than 100,000 values, or deeper than 50"),
        ("a.toml", "#" * (LARGEST_BYTES + 1), "larger than 1,000,000 bytes, so not the file of a cluster"),
    ],
)
def test_a_mistake_is_said_in_one_line(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert refusal_of(file).startswith(said)


def test_a_file_that_is_not_there_is_said_with_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match=f"--cluster slurm:a.toml: no such file: {tmp_path}/a.toml"):
        check_can_start("slurm:a.toml", "slurm", "a.toml")
    (tmp_path / "b.toml").mkdir()
    assert refusal_of(tmp_path / "b.toml") == "cannot be read: Is a directory"


@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
# Each example is written and read twice, and a disk may be slow.
@settings(deadline=None, max_examples=examples(50))
def test_no_content_causes_anything_but_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    for ending in ("toml", "yaml"):
        file = tmp_path_factory.getbasetemp() / f"any.{ending}"
        file.write_bytes(content)
        assert refusal_of(file)


def test_what_is_missing_on_this_machine_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cluster.toml"
    file.write_text(SMALLEST, encoding="utf-8")
    monkeypatch.setenv("PATH", "")
    assert refusal_of(file) == (
        "sbatch and scancel not found on this machine's PATH; run skinml on a machine that may submit jobs"
    )
    monkeypatch.setattr("skinml.compute.kinds.find_spec", lambda _: None)
    assert refusal_of(file) == "needs dask_jobqueue, not installed here: pip install 'skinml[jobqueue]'"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_an_example(kind: str) -> None:
    from skinml.compute.cluster_file import read_cluster_file

    [example] = (REPOSITORY / "deployments" / kind).glob("cluster.*")
    read_cluster_file("the example", str(example), load_kind(kind).FILE)
    first = example.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"# skinml score ... --cluster {kind}:{example.name}")


def test_checking_a_file_loads_neither_dask_nor_prefect() -> None:
    code = (
        "import sys; from skinml.compute.kinds import KINDS, load_kind; [load_kind(kind) for kind in KINDS]; "
        "print([name for name in ('dask', 'distributed', 'dask_jobqueue', 'dask_kubernetes', 'prefect') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
