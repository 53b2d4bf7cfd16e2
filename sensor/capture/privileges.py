"""What the process may do: one capability to capture with, and nothing else once it has started."""

import ctypes
import importlib
import os
import pwd
from collections.abc import Iterable
from pathlib import Path

from sensor.errors import CaptureError

NET_ADMIN, NET_RAW, SYS_ADMIN = 12, 13, 21
"""CAP_ numbers (linux/capability.h)."""

DEFAULT_USERS = ("idlewire", "nobody")
"""Whom root becomes when no user is configured: the first that exists."""

MISSING = (
    "capturing needs the capability CAP_NET_RAW: start with sudo, or under systemd with AmbientCapabilities=CAP_NET_RAW"
)

NO_NETWORKS = "selftest makes a network of its own: start it with sudo ({} missing)"

PRELOADED = (
    "asyncio.subprocess", "concurrent.futures.process", "concurrent.futures.thread", "ctypes.util",
    "encodings.ascii", "encodings.cp437", "encodings.hex_codec", "encodings.idna", "encodings.latin_1",
    "encodings.punycode", "encodings.raw_unicode_escape", "encodings.unicode_escape", "encodings.utf_16",
    "encodings.utf_16_le", "encodings.utf_32", "encodings.utf_8_sig",
    "stringprep", "unicodedata", "linecache", "traceback", "tracemalloc", "tokenize", "logging.handlers",
    "faulthandler", "pdb", "warnings", "locale", "gettext", "zoneinfo", "_strptime", "shutil", "tempfile", "random",
    "secrets", "json.tool", "sqlite3.dbapi2", "ssl", "zlib", "gzip", "bz2", "lzma", "zipfile", "uuid", "html",
    "mimetypes", "multiprocessing", "queue", "ipaddress", "statistics", "decimal", "difflib", "textwrap", "pprint",
    "email.mime.text", "email.generator", "email.parser", "http.cookies", "http.server", "xml.etree.ElementTree",
    "aiohttp.client", "aiohttp.connector", "aiohttp.resolver", "aiohttp.web", "aiohttp.web_log", "aiohttp.multipart",
    "aiohttp.http_writer", "aiohttp.compression_utils", "aiohappyeyeballs", "idna", "idna.idnadata", "idna.uts46data",
    "brotli", "aiodns", "charset_normalizer", "certifi",
    "numpy.linalg", "numpy.random", "numpy.lib.format", "numpy._core._methods", "numpy._core._exceptions",
    "maxminddb", "netaddr", "prometheus_client.openmetrics.exposition", "prometheus_client.exposition",
    "pyroute2", "pyroute2.iproute.linux",
)  # fmt: skip
"""Modules that the standard library and the dependencies import only when first used."""

_PR_SET_KEEPCAPS, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 8, 24, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    """struct __user_cap_header_struct (linux/capability.h)."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    """Two struct __user_cap_data_struct: capabilities 0-31, then 32-63."""

    _fields_ = tuple(
        (f"{name}{half}", ctypes.c_uint32) for half in "01" for name in ("effective", "permitted", "inheritable")
    )


def can_capture() -> None:
    """Return where this process may open a packet socket; else raise CaptureError with what is missing."""
    sets = _capabilities()
    if not sets.effective0 >> NET_RAW & 1:
        raise CaptureError(MISSING)


def can_make_networks() -> None:
    """Return where this process may make network namespaces and capture in them; else raise CaptureError."""
    effective = _capabilities().effective0
    wanted = {"CAP_SYS_ADMIN": SYS_ADMIN, "CAP_NET_ADMIN": NET_ADMIN, "CAP_NET_RAW": NET_RAW}
    missing = [name for name, bit in wanted.items() if not effective >> bit & 1]
    if missing:
        raise CaptureError(NO_NETWORKS.format(", ".join(missing)))


def preload(more: Iterable[str] = ()) -> list[str]:
    """Import what would else be imported later, out of folders that an unprivileged user may not read.

    Returns the names that do not exist here; most are optional parts of libraries.
    """
    absent = []
    for name in (*PRELOADED, *more):
        try:
            importlib.import_module(name)
        except ImportError:
            absent.append(name)
    return absent


def drop(user: str | None = None) -> str | None:
    """Root becomes `user` for good and keeps only CAP_NET_RAW; who it became, None where it was not root.

    `user` None is the first of DEFAULT_USERS; "root" stays root, without the other capabilities. Call it
    when everything that root must open is open, before any thread is started (capabilities belong to
    threads) and after `preload`. Raises CaptureError.
    """
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.geteuid() != 0:
        _keep_net_raw()
        return None
    entry = account(user)
    for capability in range(64):
        if capability != NET_RAW:
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    _libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    try:
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    except OSError as error:
        raise CaptureError(f"cannot become user {entry.pw_name}: {error.strerror}") from error
    _keep_net_raw()
    return entry.pw_name


def account(user: str | None) -> pwd.struct_passwd:
    """The user that `drop` would become. Raises CaptureError where there is none."""
    for name in DEFAULT_USERS if user is None else (user,):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise CaptureError(
        f"user: there is no user {user or ' or '.join(DEFAULT_USERS)} to run as: create it, or name another"
    )


def prepare_state(path: Path, user: str | None = None) -> str | None:
    """As root: create the state folder and give it, with what lies directly in it, to the user of `drop`.

    Returns a line for the log when that user cannot reach it (a parent folder is closed to others),
    else None; does nothing where not started as root. Raises CaptureError.
    """
    if os.geteuid() != 0:
        return None
    entry = account(user)
    try:
        path.mkdir(mode=0o750, parents=True, exist_ok=True)
        folder = path.resolve()
        for each in (folder, *folder.iterdir()):
            if not each.is_symlink():
                os.chown(each, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
    except OSError as error:
        raise CaptureError(f"state_dir: cannot prepare the folder {path}: {error.strerror}") from error
    closed = [parent for parent in folder.parents if not _may_enter(parent, entry)]
    if not closed:
        return None
    return f"state_dir: user {entry.pw_name} cannot reach {path}: {closed[-1]} is closed to others"


def _may_enter(folder: Path, entry: pwd.struct_passwd) -> bool:
    """Whether the mode bits let the user search the folder."""
    facts = folder.stat()
    if entry.pw_uid == 0:
        return True
    if facts.st_uid == entry.pw_uid:
        return bool(facts.st_mode & 0o100)
    return bool(facts.st_mode & (0o010 if facts.st_gid == entry.pw_gid else 0o001))


def _capabilities() -> _Sets:
    sets = _Sets()
    _libc.capget(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), ctypes.byref(sets))
    return sets


def _keep_net_raw() -> None:
    """Give up every capability of this thread but CAP_NET_RAW, and that too where it is not there."""
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    bit = _capabilities().permitted0 & 1 << NET_RAW
    wanted = _Sets(effective0=bit, permitted0=bit)
    if _libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), ctypes.byref(wanted)) == 0:
        return
    code, left = ctypes.get_errno(), _capabilities()
    # A sandbox may forbid the call where there is nothing left to give up.
    if left.permitted0 & ~bit or left.permitted1:
        raise CaptureError(f"cannot give up capabilities: {os.strerror(code)}")
