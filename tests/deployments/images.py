"""What the Dockerfile says, and its programs run as a container would run them, without an engine.

A mount namespace stands in for the container: the root file system is read-only, /tmp is empty, /home/skinml is
the volume, and the user is the Dockerfile's, without capabilities. The libraries are those of this environment.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.conftest import REPOSITORY

DOCKERFILE = REPOSITORY / "deployments" / "docker" / "Dockerfile"

INSIDE = r"""
set -e
mount --make-rprivate /
home=$1 user=$2 group=$3 hosts=$4; shift 4
# This environment may lie where only root may go: hold it aside, and put it back into open folders.
aside=$(mktemp -d)
mount -t tmpfs tmpfs "$aside"
number=0
for path in $NEEDED; do
  number=$((number + 1)); mkdir "$aside/$number"; mount --bind "$path" "$aside/$number"
done
passwd=$aside/passwd
{ cat /etc/passwd; echo "skinml:x:$user:$group::/home/skinml:/usr/sbin/nologin"; } > "$passwd"
mount --bind "$passwd" /etc/passwd
[ -s "$hosts" ] && mount --bind "$hosts" /etc/hosts
mount -t tmpfs -o mode=755 tmpfs /home; mkdir /home/skinml; mount --bind "$home" /home/skinml
[ -d /root ] && mount -t tmpfs -o mode=755 tmpfs /root
number=0
for path in $NEEDED; do
  number=$((number + 1)); [ -d "$path" ] || mkdir -p "$path"; mount --bind "$aside/$number" "$path"
done
umount -l "$aside"
mount -t tmpfs -o mode=1777 tmpfs /tmp
for path in $NEEDED; do case $path in /tmp/*) echo "$path is in /tmp" >&2; exit 99;; esac; done
for one in / /home /root; do [ -d $one ] && mount -o remount,bind,ro $one; done
for path in $NEEDED; do mount -o remount,bind,ro "$path"; done
cd /home/skinml
drop="--clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all"
exec setpriv --reuid "$user" --regid "$group" $drop "$@"
"""


@dataclass(frozen=True)
class Image:
    """One target of the Dockerfile, with what it takes from its parents.

    Attributes:
        base: the image that it starts from.
        environment: of its processes.
        user, group: numbers.
        entrypoint, command, health_check: programs with their arguments.
        copies: what is copied into it.
    """

    base: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "0"
    group: str = "0"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    health_check: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, a line each, without comments."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


@cache
def images() -> dict[str, Image]:
    """All targets by name."""
    found: dict[str, dict[str, object]] = {}
    now: dict[str, object] = {}
    for word, rest in instructions():
        if word == "FROM":
            base, _, name = rest.split()
            now = {**found.get(base, {"base": base})}
            now["environment"] = dict(now.get("environment", {}))  # type: ignore[call-overload]
            found[name] = now
        elif word == "ENV":
            now["environment"].update(pair.split("=", 1) for pair in shlex.split(rest))  # type: ignore[attr-defined]
        elif word == "USER":
            now["user"], now["group"] = rest.split(":")
        elif word in {"ENTRYPOINT", "CMD"}:
            now["entrypoint" if word == "ENTRYPOINT" else "command"] = _words(rest)
        elif word == "HEALTHCHECK":
            now["health_check"] = _words(rest.split("CMD", 1)[1])
        elif word == "COPY":
            now["copies"] = (*now.get("copies", ()), *rest.split()[:-1])  # type: ignore[misc]
    return {name: Image(**values) for name, values in found.items()}  # type: ignore[arg-type]


def _words(text: str) -> tuple[str, ...]:

    return tuple(json.loads(text))


def can_run_as_container() -> bool:
    """Whether this user may make mount namespaces and change users."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


def as_container(
    image: Image,
    command: Sequence[str],
    home: Path,
    environment: Mapping[str, str] | None = None,
    hosts: Path | None = None,
) -> list[str]:
    """The command line that runs a program as it would run in a container.

    Args:
        image: its user and its environment.
        command: the program with its arguments.
        home: the volume; what lies in it at the first use will belong to the image's user.
        environment: beside the image's.
        hosts: a file that takes the place of /etc/hosts.
    """
    if home.stat().st_uid != int(image.user):
        for one in [home, *home.rglob("*")]:
            os.chown(one, int(image.user), int(image.group))
    ours = {**image.environment, **(environment or {}), "PYTHONPATH": str(REPOSITORY)}
    ours["PATH"] = ours["PATH"].replace("/opt/skinml/bin", str(Path(sys.prefix) / "bin"))
    places = {str(path) for path in (sys.base_prefix, sys.prefix, REPOSITORY, *_shared_packages())}
    # Outer folders first: mounted later, a clone would hide the environment that lies in it.
    needed = sorted(places, key=len)
    inside = ["env", "-i", *(f"{name}={value}" for name, value in ours.items()), *command]
    start = ["env", f"NEEDED={' '.join(needed)}", "unshare", "-m", "bash", "-c", INSIDE, "-"]
    return [*start, str(home), image.user, image.group, str(hosts or os.devnull), *inside]


def _shared_packages() -> list[str]:
    """Folders of packages that lie outside this environment, which some developers share."""
    return [path for path in sys.path if path.endswith("site-packages") and not path.startswith(sys.prefix)]
