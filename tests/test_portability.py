"""What only some systems have stands behind a guard: `errno.EREMOTEIO` at import stopped every flow on macOS.

`mypy --platform darwin` knows more names, but neither files below /proc nor functions of a C library.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = ("skinml", "tasks", "flows", "deployments")

LINUX_ONLY = {
    "errno": {
        "EADV", "EBADE", "EBADFD", "EBADR", "EBADRQC", "EBADSLT", "EBFONT", "ECHRNG", "ECOMM", "EDOTDOT",
        "EISNAM", "EKEYEXPIRED", "EKEYREJECTED", "EKEYREVOKED", "EL2HLT", "EL2NSYNC", "EL3HLT", "EL3RST",
        "ELIBACC", "ELIBBAD", "ELIBEXEC", "ELIBMAX", "ELIBSCN", "ELNRNG", "EMEDIUMTYPE", "ENAVAIL", "ENOANO",
        "ENOCSI", "ENOKEY", "ENOMEDIUM", "ENONET", "ENOPKG", "ENOTNAM", "ENOTUNIQ", "EREMCHG", "EREMOTEIO",
        "ERESTART", "ERFKILL", "ESRMNT", "ESTRPIPE", "EUCLEAN", "EUNATCH", "EXFULL",
    },
    "os": {
        "CLONE_NEWNS", "EFD_CLOEXEC", "GRND_NONBLOCK", "MFD_CLOEXEC", "O_DIRECT", "O_LARGEFILE", "O_NOATIME",
        "O_PATH", "O_RSYNC", "O_TMPFILE", "P_PIDFD", "SCHED_BATCH", "SCHED_IDLE", "SPLICE_F_MOVE",
        "copy_file_range", "eventfd", "fdatasync", "getrandom", "getresgid", "getresuid", "getxattr",
        "listxattr", "memfd_create", "pidfd_open", "posix_fadvise", "posix_fallocate", "preadv2", "removexattr",
        "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_setaffinity", "sched_setscheduler",
        "setns", "setresgid", "setresuid", "setxattr", "splice", "timerfd_create", "unshare",
    },
    "signal": {
        "SIGCLD", "SIGPOLL", "SIGPWR", "SIGRTMAX", "SIGRTMIN", "SIGSTKFLT", "pidfd_send_signal", "sigtimedwait",
        "sigwaitinfo",
    },
    "socket": {
        "AF_ALG", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "IP_TRANSPARENT", "MSG_CMSG_CLOEXEC", "MSG_CONFIRM",
        "MSG_ERRQUEUE", "MSG_FASTOPEN", "MSG_MORE", "SOCK_CLOEXEC", "SOCK_NONBLOCK", "SO_BINDTODEVICE",
        "SO_DOMAIN", "SO_MARK", "SO_PASSCRED", "SO_PASSSEC", "SO_PEERCRED", "SO_PEERSEC", "SO_PRIORITY",
        "SO_PROTOCOL", "TCP_CORK", "TCP_DEFER_ACCEPT", "TCP_INFO", "TCP_LINGER2", "TCP_QUICKACK", "TCP_SYNCNT",
        "TCP_USER_TIMEOUT", "TCP_WINDOW_CLAMP",
    },
    "select": {"EPOLLIN", "EPOLLOUT", "epoll"},
    "resource": {
        "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_OFILE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME", "RLIMIT_SIGPENDING",
        "RUSAGE_THREAD", "prlimit",
    },
    "fcntl": {
        "F_ADD_SEALS", "F_GETLEASE", "F_GETPIPE_SZ", "F_NOTIFY", "F_OFD_SETLK", "F_OFD_SETLKW", "F_SETLEASE",
        "F_SETPIPE_SZ",
    },
    "time": {"CLOCK_BOOTTIME", "CLOCK_TAI", "pthread_getcpuclockid"},
    "mmap": {"MADV_HUGEPAGE", "MADV_NOHUGEPAGE", "MAP_POPULATE", "MAP_STACK"},
}  # fmt: skip
"""Names that CPython has on Linux and not on macOS, of the modules that differ."""

PLATFORM_MODULES = {"_winapi", "msvcrt", "nt", "ossaudiodev", "spwd", "winreg", "winsound"}
"""Modules that macOS has not. What only Windows lacks, such as fcntl, is allowed: Windows is not promised."""

C_FUNCTIONS = {"malloc_trim", "mallopt", "prctl", "sched_getcpu", "syscall", "gettid", "madvise", "unshare"}
LINUX_PATHS = ("/proc/", "/sys/", "/dev/shm", "/run/")  # noqa: S108 - looked for, not used

PATHS_ALLOWED = {
    "skinml/lab/drill/processes.py",
    "skinml/process/identity.py",
    "skinml/storage/fetch.py",
    "skinml/training/ring.py",
}
"""Who may name such a path: flows/drill.py refuses to start where there is no /proc, identity.py looks first
whether the file is there, ring.py takes another folder if there is none, fetch.py asks macOS by another call
and anybody else by the path."""

GUARDS = {"getattr", "hasattr", "sys.platform", "os.name", "platform.system"}


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py"))


def faults_of(source: str, name: str = "x.py") -> list[str]:
    """What is bound to one system and not guarded, as `line: what`."""
    tree = ast.parse(source)
    return [f"{line}: {what}" for line, what in _faults(tree, imported_modules(tree), name, guarded=False)]


def imported_modules(tree: ast.AST) -> dict[str, str]:
    """The name in this file of each module that it imports whole: `import os as o` gives o: os."""
    return {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }


def _faults(node: ast.AST, modules: dict[str, str], name: str, guarded: bool) -> Iterator[tuple[int, str]]:
    if not guarded:
        yield from ((getattr(node, "lineno", 0), what) for what in _bound(node, modules, name))
    if isinstance(node, ast.If | ast.IfExp | ast.Try):
        guarded = guarded or _is_guard(node)
    for child in ast.iter_child_nodes(node):
        yield from _faults(child, modules, name, guarded)


def _is_guard(node: ast.If | ast.IfExp | ast.Try) -> bool:
    """Whether what stands inside is only reached where the system has it."""
    if isinstance(node, ast.Try):
        caught = " ".join(ast.unparse(handler.type) for handler in node.handlers if handler.type)
        return any(error in caught for error in ("ImportError", "AttributeError", "ModuleNotFoundError"))
    return any(guard in ast.unparse(node.test) for guard in GUARDS)


def _bound(node: ast.AST, modules: dict[str, str], name: str) -> Iterator[str]:
    match node:
        case ast.Attribute(value=ast.Name(id=base), attr=attribute):
            if attribute in LINUX_ONLY.get(modules.get(base, ""), ()):
                yield f"{modules[base]}.{attribute}"
        case ast.ImportFrom(module=str(module), names=names, level=0):
            if module in PLATFORM_MODULES:
                yield f"import {module}"
            yield from (f"{module}.{alias.name}" for alias in names if alias.name in LINUX_ONLY.get(module, ()))
        case ast.Import(names=names):
            yield from (f"import {alias.name}" for alias in names if alias.name in PLATFORM_MODULES)
        case ast.Call(func=ast.Attribute(attr=attribute)) if attribute in C_FUNCTIONS:
            yield f"{attribute} of the C library"
        case ast.Constant(value=str(text)) if name not in PATHS_ALLOWED:
            if text.startswith(LINUX_PATHS) or f"{text}/" in LINUX_PATHS:
                yield f"the path {text}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_names_of_one_system_are_guarded(path: Path) -> None:
    name = path.relative_to(REPOSITORY).as_posix()
    assert faults_of(path.read_text(encoding="utf-8"), name) == []


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("import errno\nPASSING = {errno.EIO, errno.EREMOTEIO}", ["2: errno.EREMOTEIO"]),
        ("import errno as e\ne.EREMOTEIO", ["2: errno.EREMOTEIO"]),
        ("from errno import EIO, EREMOTEIO", ["1: errno.EREMOTEIO"]),
        ("import os\ncores = len(os.sched_getaffinity(0))", ["2: os.sched_getaffinity"]),
        ("import os\nos.open('/', os.O_PATH | os.O_TMPFILE)", ["2: os.O_PATH", "2: os.O_TMPFILE"]),
        ("import select\nselect.epoll()", ["2: select.epoll"]),
        ("import winreg", ["1: import winreg"]),
        ("from msvcrt import locking", ["1: import msvcrt"]),
        ("from fcntl import F_SETPIPE_SZ, flock", ["1: fcntl.F_SETPIPE_SZ"]),
        ("import ctypes\nctypes.CDLL(None).prctl(1, 9)", ["2: prctl of the C library"]),
        ("from pathlib import Path\nPath('/proc/self/status')", ["2: the path /proc/self/status"]),
        ("open('/proc')", ["1: the path /proc"]),
        ("import os\nif cores:\n    os.sched_getaffinity(0)", ["3: os.sched_getaffinity"]),
        (
            "import os\ntry:\n    os.sched_getaffinity(0)\nexcept OSError:\n    pass",
            ["3: os.sched_getaffinity"],
        ),
        ("import errno\ngetattr(errno, 'EREMOTEIO', errno.EIO)", []),
        ("import os\nif hasattr(os, 'sched_getaffinity'):\n    os.sched_getaffinity(0)", []),
        ("import sys, os\nif sys.platform == 'linux':\n    os.O_PATH", []),
        ("import sys, os\nx = os.O_PATH if sys.platform == 'linux' else 0", []),
        ("try:\n    import winreg\nexcept ImportError:\n    winreg = None", []),
        ("import resource\nresource.getrusage(0)", []),
        ("import os\nos.O_CLOEXEC, os.getpid()", []),
        ("class a:\n    O_PATH = 1\na.O_PATH", []),
    ],
)
def test_the_check_finds_what_it_is_for(source: str, faults: list[str]) -> None:
    assert faults_of(textwrap.dedent(source)) == faults
