"""Tests of skinml/compute/jobqueue.py and its kin: the jobs that batch systems get, and what is cancelled.

Programs of the same names stand in for the batch systems. They keep what they get and run nothing.
A real Slurm runs in tests/services/test_slurm.py.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from skinml.compute import ClusterSpec, check_cluster, connect, hold
from skinml.errors import RequestError

SUBMITTED = {
    "slurm": ("sbatch", "Submitted batch job $n", "scancel", "{n}"),
    "pbs": ("qsub", "$n.server", "qdel", "{n}"),
    "sge": ("qsub", 'Your job $n (\\"skinml\\") has been submitted', "qdel", "{n}"),
    "lsf": ("bsub", "Job <$n> is submitted to default queue <normal>.", "bkill", "{n}"),
    "htcondor": ("condor_submit", "1 job(s) submitted to cluster $n.", "condor_rm", "{n}.0"),
}
"""For each batch system: the program that takes a job, its answer, the program that cancels, and a job's id."""

EXPECTED = {
    "slurm": [
        "#SBATCH -J skinml",
        "#SBATCH -p night",
        "#SBATCH -A skin",
        "#SBATCH --cpus-per-task=2",
        "#SBATCH -t 1:00",
    ],
    "pbs": [
        "#PBS -N skinml",
        "#PBS -q night",
        "#PBS -A skin",
        "#PBS -l select=1:ncpus=2:mem=",
        "#PBS -l walltime=1:00",
    ],
    "sge": ["#$ -N skinml", "#$ -q night", "#$ -P skin", "#$ -l h_vmem=2G", "#$ -l h_rt=1:00", "#$ -pe smp 2"],
    "lsf": ["#BSUB -J skinml", "#BSUB -q night", '#BSUB -P "skin"', "#BSUB -n 2", "#BSUB -M ", "#BSUB -W 1:00"],
    "htcondor": ["MY.DaskWorkerCores = 2", "RequestDisk", "accounting_group = skin"],
}

MORE = {
    "slurm": 'queue = "night"\nwalltime = "1:00"\naccount = "skin"',
    "pbs": 'queue = "night"\nwalltime = "1:00"\naccount = "skin"',
    "sge": 'queue = "night"\nwalltime = "1:00"\nproject = "skin"\nresource_spec = "h_vmem=2G"\n'
    'directives = ["-pe smp 2"]',
    "lsf": 'queue = "night"\nwalltime = "1:00"\nproject = "skin"',
    "htcondor": 'disk = "1 GiB"\nattributes = {accounting_group = "skin"}',
}


@dataclass(frozen=True)
class BatchSystem:
    """The stand-in: where it keeps what it gets."""

    folder: Path

    def scripts(self) -> list[str]:
        """The jobs that were submitted."""
        return [file.read_text(encoding="utf-8") for file in sorted(self.folder.glob("job-*"))]

    def cancelled(self) -> list[str]:
        """The ids that were cancelled, in order."""
        log = self.folder / "cancelled"
        return sorted(log.read_text(encoding="utf-8").split()) if log.exists() else []


def stand_in(folder: Path, kind: str, refuses_after: int = 99) -> BatchSystem:
    """Programs for one batch system, on the PATH of this process."""
    submit, answer, cancel, _ = SUBMITTED[kind]
    batch = BatchSystem(folder / "batch")
    batch.folder.mkdir()
    programs = {
        submit: f"""
            n=1 # jobs come at the same time, and each takes a number
            while ! mkdir {batch.folder}/number-$n 2>/dev/null; do n=$((n + 1)); done
            [ $n -le {refuses_after} ] || {{ echo "{submit}: error: too many jobs" >&2; exit 1; }}
            if [ $# -gt 0 ]; then cat "$1"; else cat; fi > {batch.folder}/job-$n
            echo "{answer}"
        """,
        cancel: f'echo "$@" >> {batch.folder}/cancelled',
    }
    programs_folder = folder / "bin"
    programs_folder.mkdir()
    for name, code in programs.items():
        (programs_folder / name).write_text(f"#!/bin/sh\n{code}\n", encoding="utf-8")
        (programs_folder / name).chmod(0o755)
    return batch


@pytest.fixture(params=SUBMITTED)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def file(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    file = tmp_path / "cluster.toml"
    lines = [
        "workers = 3",
        "cores = 2",
        'memory = "2 GiB"',
        'host = "127.0.0.1"',
        'prologue = ["module load python"]',
    ]
    shared = tmp_path / "shared"
    shared.mkdir()
    file.write_text("\n".join([*lines, f'shared_directory = "{shared}"', MORE[kind]]), encoding="utf-8")
    yield file
    assert list(shared.iterdir()) == [], "the run's certificates are gone"


def test_jobs_are_submitted_with_what_the_file_says_and_cancelled_at_the_end(
    kind: str, file: Path, tmp_path: Path
) -> None:
    batch = stand_in(tmp_path, kind)
    with hold(ClusterSpec(f"{kind}:{file}")) as started:
        assert started.workers == 3
        assert started.address.startswith("tls://127.0.0.1:")
        scripts = batch.scripts()
        assert len(scripts) == 2, "3 workers, two in a job"
        [folder] = (tmp_path / "shared").iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o600}
        assert batch.cancelled() == []
    for script in scripts:
        for line in EXPECTED[kind]:
            assert line in script
        assert "module load python" in script
        assert f"{sys.executable} -m distributed.cli.dask_worker {started.address}" in script
        assert "--nthreads 1 --memory-limit 1.00GiB --nworkers 2" in script
        assert f"--tls-ca-file {folder}/ca_file.pem" in script
        assert "BEGIN" not in script, "administrators read job scripts: no keys in them"
    assert batch.cancelled() == [SUBMITTED[kind][3].format(n=number) for number in (1, 2)]


@pytest.mark.parametrize("kind", ["slurm"], indirect=True)
def test_a_job_that_is_refused_is_said_and_the_others_are_cancelled(
    kind: str, file: Path, tmp_path: Path
) -> None:
    batch = stand_in(tmp_path, kind, refuses_after=1)
    with pytest.raises(RequestError) as refusal, hold(ClusterSpec(f"{kind}:{file}")):
        pass
    assert str(refusal.value) == (
        f"--cluster {kind}:{file}: the batch system refused the job: sbatch: error: too many jobs"
    )
    assert batch.cancelled() == ["1"]


@pytest.mark.parametrize("kind", ["slurm"], indirect=True)
def test_nobody_connects_without_the_certificate_of_the_run(
    kind: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask's protocol has no password: over plain TCP anybody could run code as this user."""
    monkeypatch.setattr("skinml.compute.address.ANSWER_SECONDS", 2)  # the test waits as well
    stand_in(tmp_path, kind)
    with hold(ClusterSpec(f"{kind}:{file}")) as started:
        others = f"tls://{started.address.removeprefix('tls://')}"
        for address in (others, others.replace("tls", "tcp")):
            with pytest.raises(RequestError, match="no Dask scheduler answers"), connect(address):
                pass
        with connect(f"{kind}:{file}") as client:
            assert client.scheduler.address == started.address


@pytest.mark.parametrize("kind", ["slurm"], indirect=True)
def test_workers_that_do_not_come_are_said_with_where_to_look(kind: str, file: Path, tmp_path: Path) -> None:
    batch = stand_in(tmp_path, kind)
    spec = ClusterSpec(f"{kind}:{file}", workers=4)
    with hold(spec), connect(spec.address) as client, pytest.raises(RequestError) as refusal:
        check_cluster(client, str(tmp_path), [], 0.2, spec.workers)
    assert str(refusal.value) == (
        f"--cluster {kind}:{file}: 0 of 4 workers came within 0.2 s; their jobs may still wait in the queue "
        "(squeue shows it), or set a longer --cluster-wait"
    )
    assert batch.cancelled() == ["1", "2"]


@pytest.mark.parametrize("kind", ["slurm"], indirect=True)
def test_a_batch_system_that_does_not_answer_does_not_hold_up_the_end(
    kind: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stand_in(tmp_path, kind)
    monkeypatch.setattr("skinml.compute.jobqueue.CLOSE_SECONDS", 0.5)
    monkeypatch.setattr("skinml.compute.jobqueue.CANCEL_SECONDS", 0.5)
    with hold(ClusterSpec(f"{kind}:{file}")):
        (tmp_path / "bin" / "scancel").write_text("#!/bin/sh\nexec sleep 5\n", encoding="utf-8")
    assert "took too long to close (TimeoutError)" in caplog.text
    assert "workers end by themselves without this process" in caplog.text
