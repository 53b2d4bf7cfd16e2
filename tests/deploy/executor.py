"""Runs a service as its unit says, in a root of its own: a stand-in for systemd, where that is not process 1.

    python tests/deploy/executor.py ROOT UNIT [NAME=VALUE...]

Done by the unit's words: user, ambient and bounding capabilities, NoNewPrivileges, SystemCallFilter, RestrictAddress-
Families, MemoryDenyWriteExecute, ProtectSystem=strict, PrivateTmp, StateDirectory, UMask, LimitNOFILE, watchdog. What
else the unit asks for is only looked at by systemd-analyze (test_unit.py). NAME=VALUE go into the environment.
"""

import ctypes
import functools
import os
import pwd
import resource
import shlex
import shutil
import socket
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

CAPABILITIES = {"CAP_NET_RAW": 13}
CLONE_NEWNS, MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 1, 32, 4096, 16384, 1 << 18
PR_SET_KEEPCAPS, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 8, 24, 38, 47
SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, EPERM = 0x7FFF0000, 0x00050000, 1
SCMP_CMP_EQ, SCMP_CMP_MASKED_EQ = 4, 7
PROT_WRITE, PROT_EXEC = 2, 4

libc = ctypes.CDLL(None, use_errno=True)


class Compare(ctypes.Structure):
    """struct scmp_arg_cmp (seccomp.h)."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


class Filter:
    """A system call filter, by libseccomp; what is not allowed fails."""

    def __init__(self, error: int) -> None:
        self._library = ctypes.CDLL("libseccomp.so.2")
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(SCMP_ACT_ERRNO | error))

    def rule(self, action: int, call: str, *compares: Compare) -> None:
        """Calls that this machine does not have are left out."""
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            return
        array = (Compare * len(compares))(*compares)
        self._library.seccomp_rule_add_array(self._context, ctypes.c_uint32(action), number, len(compares), array)

    def load(self) -> None:
        check(self._library.seccomp_load(self._context), "seccomp_load")


def read_unit(path: Path) -> dict[str, list[str]]:
    """Key -> values, as often as they are given."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[key].append(value)
    return found


def system_calls(given: list[str]) -> list[str]:
    """Those that SystemCallFilter= leaves: a first list of what is allowed, then lists of what is not."""
    allowed = expand(given[0].split())
    for each in given[1:]:
        words = expand(each.removeprefix("~").split())
        allowed = allowed - words if each.startswith("~") else allowed | words
    # systemd allows what starting the service itself takes (its group @default).
    return sorted(allowed | expand(["@default"]))


def expand(names: list[str]) -> set[str]:
    """Groups of systemd as the calls in them."""
    calls: set[str] = set()
    for name in names:
        calls |= expand(groups()[name]) if name.startswith("@") else {name}
    return calls


@functools.cache
def groups() -> dict[str, list[str]]:
    """Group of systemd -> the calls and groups in it."""
    words = ["systemd-analyze", "syscall-filter"]
    found: dict[str, list[str]] = {}
    name = ""
    for line in subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines():
        if line.startswith("@"):
            name = line.strip()
            found[name] = []
        elif name and (call := line.strip()) and not call.startswith("#") and " " not in call:
            found[name].append(call)
    return found


def filter_of(unit: dict[str, list[str]]) -> Filter:
    """What seccomp enforces of the unit."""
    made = Filter(EPERM)
    families = sorted(int(getattr(socket, name)) for name in unit["RestrictAddressFamilies"][0].split())
    for call in system_calls(unit["SystemCallFilter"]):
        if call == "socket":
            for family in families:
                made.rule(SCMP_ACT_ALLOW, call, Compare(0, SCMP_CMP_EQ, family, 0))
        elif call == "mmap":
            for protection in (0, PROT_WRITE, PROT_EXEC):  # all but both
                made.rule(SCMP_ACT_ALLOW, call, Compare(2, SCMP_CMP_MASKED_EQ, PROT_WRITE | PROT_EXEC, protection))
        elif call in {"mprotect", "pkey_mprotect"}:
            made.rule(SCMP_ACT_ALLOW, call, Compare(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0))
        else:
            made.rule(SCMP_ACT_ALLOW, call)
    return made


def close_file_system(root: Path, state: str) -> None:
    """ProtectSystem=strict, PrivateTmp=: nothing can be written but the state folder and a /tmp that goes again."""
    check(libc.unshare(CLONE_NEWNS), "unshare")
    mount("none", Path("/"), MS_REC | MS_PRIVATE)
    mount(str(root), root, MS_BIND | MS_REC)
    mount(str(root), root, MS_BIND | MS_REMOUNT | MS_RDONLY)
    mount(str(root / state), root / state, MS_BIND)
    mount("none", root / state, MS_BIND | MS_REMOUNT)
    mount("tmpfs", root / "tmp", 0, "tmpfs")
    mount("proc", root / "proc", 0, "proc")


def mount(source: str, target: Path, flags: int, kind: str = "none") -> None:
    check(
        libc.mount(source.encode(), str(target).encode(), kind.encode(), ctypes.c_ulong(flags), None), f"mount {target}"
    )


def become(unit: dict[str, list[str]]) -> pwd.struct_passwd:
    """The unit's user with its capabilities."""
    entry = pwd.getpwnam(unit["User"][0])
    kept = [CAPABILITIES[name] for name in unit["CapabilityBoundingSet"][0].split()]
    for capability in range(41):
        if capability not in kept:
            check(libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), "bounding set")
    check(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keep capabilities")
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    ambient = [CAPABILITIES[name] for name in unit["AmbientCapabilities"][0].split()]
    bits = sum(1 << each for each in ambient)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)
    check(libc.capset(header, sets), "capset")
    for each in ambient:
        check(libc.prctl(PR_CAP_AMBIENT, 2, each, 0, 0), "ambient capabilities")
    return entry


def check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def main() -> None:
    """The command; becomes the service."""
    root, unit = Path(sys.argv[1]), read_unit(Path(sys.argv[2]))
    environment = dict(each.split("=", 1) for each in sys.argv[3:])
    state = Path("var/lib") / unit["StateDirectory"][0]
    (root / state).mkdir(exist_ok=True)
    guard = filter_of(unit)
    close_file_system(root, str(state))
    os.chroot(root)
    os.chdir("/")
    user = pwd.getpwnam(unit["User"][0])
    Path("/", state).chmod(int(unit["StateDirectoryMode"][0], 8))
    shutil.chown(Path("/", state), user.pw_uid, user.pw_gid)
    os.umask(int(unit["UMask"][0], 8))
    limit = int(unit["LimitNOFILE"][0])
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    entry = become(unit)
    if "NOTIFY_SOCKET" in environment:
        environment.setdefault("WATCHDOG_USEC", str(int(unit["WatchdogSec"][0]) * 1_000_000))
    environment |= {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "USER": entry.pw_name}
    words = shlex.split(unit["ExecStart"][0])
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    guard.load()
    os.execve(words[0], words, environment)


if __name__ == "__main__":
    main()
