"""A real Slurm on this machine: Debian's slurm-wlm and munge, as this user, in a folder, on free ports."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.server import free_port
from tests.services.processes import service, wait_for

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "squeue", "sinfo")

CONFIGURATION = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MailProg=/bin/true
SchedulerParameters=sched_interval=1
KillWait=2
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=debug Nodes=localhost Default=YES MaxTime=60 State=UP
"""


def is_installed() -> bool:
    """Whether Slurm can be started here."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    return sys.platform == "linux" and all(shutil.which(program, path=path) for program in PROGRAMS)


@dataclass(frozen=True)
class Slurm:
    """A running Slurm with two cores."""

    folder: Path
    controller: subprocess.Popen[bytes]

    def environment(self) -> dict[str, str]:
        """What its programs need."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def queue(self) -> list[str]:
        """The states of all jobs that are there."""
        return self._ask("squeue", "--noheader", "--format=%T")

    def running(self) -> list[str]:
        """The ids of all jobs that run."""
        return self._ask("squeue", "--noheader", "--states=RUNNING", "--format=%i")

    def cancel(self, job: str) -> None:
        """End one job, as an administrator would."""
        self._ask("scancel", job)

    def _ask(self, *command: str) -> list[str]:
        environment = {**os.environ, **self.environment()}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.split()


@contextmanager
def running(folder: Path) -> Iterator[Slurm]:
    """Start it, wait until its node is idle, stop it at the end. The path must be short: it has a socket."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(1024))
    folder.chmod(0o755)  # munged insists
    ports = {"controller_port": free_port(), "node_port": free_port()}
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    configuration = CONFIGURATION.format(folder=folder, user=user, **ports)
    (folder / "slurm.conf").write_text(configuration, encoding="utf-8")
    environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    munge = ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={key}"]
    munge += [f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munge.seed"]
    with ExitStack() as started:
        started.enter_context(service(munge, environment, folder / "munged.log"))
        wait_for((folder / "munge.socket").exists, 30, "munged")
        controller = started.enter_context(service(["slurmctld", "-D"], environment, folder / "slurmctld.log"))
        started.enter_context(service(["slurmd", "-D", "-N", "localhost"], environment, folder / "slurmd.log"))
        slurm = Slurm(folder, controller)
        wait_for(lambda: _is_idle(slurm), 60, "Slurm")
        yield slurm


def _is_idle(slurm: Slurm) -> bool:
    try:
        return slurm._ask("sinfo", "--noheader", "--format=%T") == ["idle"]
    except subprocess.CalledProcessError:
        time.sleep(0.5)
        return False
