"""Sends prepared frames at a given rate: sendmmsg(2) on a packet socket, through ctypes, from one buffer.

python blaster.py NAMESPACE INTERFACE FRAMES.bin SIZE RATE SECONDS      RATE 0: as fast as it goes
Prints JSON: frames sent, seconds. All frames in the file have SIZE bytes; they are sent in a loop.
"""

import ctypes
import json
import mmap
import os
import socket
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))

from lab import Namespace

BATCH = 64
MESSAGE = 64
"""Bytes of struct mmsghdr on 64-bit machines; msg_iov and msg_iovlen are its words 2 and 3."""

SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20


def blast(namespace: str, interface: str, file: Path, *, size: int, rate: float, seconds: float) -> dict[str, float]:
    """Send; how much was sent and how long it took."""
    count = file.stat().st_size // size
    with Namespace(namespace).entered():
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.bind((interface, 0))
    opened.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    handle = os.open(file, os.O_RDONLY)
    memory = mmap.mmap(handle, 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    vectors = np.empty((count, 2), np.uint64)  # struct iovec
    vectors[:, 0], vectors[:, 1] = base + np.arange(count) * size, size
    messages = np.zeros((count, MESSAGE // 8), np.uint64)
    messages[:, 2], messages[:, 3] = vectors.ctypes.data + np.arange(count) * 16, 1
    sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
    sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
    start, handle = messages.ctypes.data, opened.fileno()
    sent = at = 0
    began = now = time.monotonic()
    while now - began < seconds:
        if not rate or sent + BATCH <= (now - began) * rate:
            done = sendmmsg(handle, start + at * MESSAGE, min(BATCH, count - at), 0)
            if done > 0:
                sent += done
                at = (at + done) % count
        else:
            time.sleep(0.0004)
        now = time.monotonic()
    return {"sent": sent, "seconds": now - began}


if __name__ == "__main__":
    name, wire, frames, size_, rate_, seconds_ = sys.argv[1:]
    done_ = blast(name, wire, Path(frames), size=int(size_), rate=float(rate_), seconds=float(seconds_))
    print(json.dumps(done_))
