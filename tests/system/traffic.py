"""Real traffic: services on the lab's public addresses, and what clients do with them."""

import contextlib
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from lab import Namespace, is_six

TCP_PORT, TLS_PORT, UDP_PORT = 80, 443, 9999
WINDOW = 100_000
"""Socket buffers: so few segments in flight that no veth's ring of 256 overflows: what was counted is not lost."""

UDP_SEGMENT = 103
"""linux/udp.h: the kernel cuts one send into datagrams of this size."""


class Internet:
    """TCP, TLS and UDP services on every address of a namespace, and a DNS server.

    TCP and TLS: a client says `UP n` and n bytes, and is told `done`; or `DOWN n`, and gets n bytes.
    UDP: a datagram of 4 bytes asks for that many datagrams of 1000 bytes; others are swallowed.
    """

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.namespace = namespace
        self._folder = folder
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._dns: subprocess.Popen[bytes] | None = None
        self._hosts: dict[str, list[str]] = {}

    def start(self) -> None:
        context = self._certificate()
        with self.namespace.entered():
            plain, tls = listening(TCP_PORT), listening(TLS_PORT)
            udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            udp.bind(("::", UDP_PORT))
        self._thread(self._accept, plain, None)
        self._thread(self._accept, tls, context)
        self._thread(self._datagrams, udp)

    def stop(self) -> None:
        self._closing.set()
        self._stop_dns()
        for thread in self._threads:
            thread.join(10)

    def serve_names(self, server: str, hosts: dict[str, list[str]], cnames: dict[str, str] | None = None) -> None:
        """(Re)start dnsmasq at this address with these names; answers above 512 bytes are cut (TCP follows)."""
        self._stop_dns()
        self._hosts |= hosts
        file = self._folder / "hosts"
        file.write_text("".join(f"{address} {name}\n" for name, all_ in self._hosts.items() for address in all_))
        options = [f"--cname={alias},{target}" for alias, target in (cnames or {}).items()]
        self._dns = subprocess.Popen(
            self.namespace.command(
                "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", f"--addn-hosts={file}", "--user=root",
                "--bind-interfaces", f"--listen-address={server}", "--pid-file=", "--conf-file=/dev/null",
                "--local-ttl=60", *options,
            ),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._await_dns(server, next(iter(hosts)))

    def _await_dns(self, server: str, name: str) -> None:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                resolve(self.namespace, server, name, timeout=0.2)
                return
            time.sleep(0.02)
        raise RuntimeError("dnsmasq does not answer")

    def _stop_dns(self) -> None:
        if self._dns is not None:
            self._dns.kill()
            self._dns.wait()
            self._dns = None

    def _certificate(self) -> ssl.SSLContext:
        key, certificate = self._folder / "key.pem", self._folder / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=lab"],
            capture_output=True, check=True,
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    def _thread(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        thread.start()
        self._threads.append(thread)

    def _accept(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        with listener:
            listener.settimeout(0.2)
            while not self._closing.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    threading.Thread(target=self._serve, args=(connection, context), daemon=True).start()

    def _serve(self, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        connection.settimeout(20)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if context is not None:
                connection = stack.enter_context(context.wrap_socket(connection, server_side=True))
            with connection.makefile("rb") as reader:
                while line := reader.readline().split():
                    if line[0] == b"DOWN":
                        send_zeros(connection, int(line[1]))
                    else:
                        skip(reader, int(line[1]))
                        connection.sendall(b"done")

    def _datagrams(self, opened: socket.socket) -> None:
        with opened:
            opened.settimeout(0.2)
            while not self._closing.is_set():
                with contextlib.suppress(TimeoutError):
                    data, ancillary, _, peer = opened.recvmsg(2048, 256)
                    if len(data) == 4:
                        for _ in range(struct.unpack("!I", data)[0]):
                            opened.sendmsg([bytes(1000)], ancillary, 0, peer)  # from the address that was asked


def listening(port: int, address: str = "::") -> socket.socket:
    """A TCP server socket in this thread's namespace, for both families when `address` is "::"."""
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        listener.setsockopt(socket.SOL_SOCKET, option, WINDOW)
    try:
        listener.bind((address, port))
    except OSError:
        listener.close()
        raise
    listener.listen(64)
    return listener


def connect(client: Namespace, address: str, port: int = TCP_PORT, timeout: float = 10) -> socket.socket:
    """A TCP connection from a client."""
    with client.entered():
        opened = socket.socket(socket.AF_INET6 if is_six(address) else socket.AF_INET)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        opened.setsockopt(socket.SOL_SOCKET, option, WINDOW)
    opened.settimeout(timeout)
    try:
        opened.connect((address, port))
    except BaseException:
        opened.close()
        raise
    return opened


def tls_connect(client: Namespace, address: str, server_name: str) -> ssl.SSLSocket:
    """A TLS connection from a client, its handshake done."""
    return _with_tls(connect(client, address, TLS_PORT), server_name)


def _with_tls(opened: socket.socket, server_name: str) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(opened, server_hostname=server_name)


def transfer(client: Namespace, address: str, *, up: int = 0, down: int = 0, server_name: str | None = None) -> None:
    """Upload and then download over one connection; over TLS when a server name is given."""
    opened = connect(client, address, TCP_PORT if server_name is None else TLS_PORT)
    with contextlib.ExitStack() as stack:
        stack.enter_context(opened)
        if server_name is not None:
            opened = stack.enter_context(_with_tls(opened, server_name))
        if up:
            opened.sendall(b"UP %d\n" % up)
            send_zeros(opened, up)
            take(opened, 4)
        if down:
            opened.sendall(b"DOWN %d\n" % down)
            take(opened, down)


def datagrams(client: Namespace, address: str, *, up: int = 0, down: int = 0, segment: int | None = None) -> None:
    """Send `up` datagrams of 1000 bytes (with `segment`: of 20,000 that the kernel cuts), ask for `down`."""
    with client.entered():
        opened = socket.socket(socket.AF_INET6 if is_six(address) else socket.AF_INET, socket.SOCK_DGRAM)
    with opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        opened.connect((address, UDP_PORT))
        opened.settimeout(5)
        if segment:
            opened.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, segment)
        for number in range(up):
            opened.send(bytes(20_000 if segment else 1000))
            if number % 20 == 19:
                time.sleep(0.002)  # slower than the rings overflow
        if down:
            opened.send(struct.pack("!I", down))
            for _ in range(down):
                opened.recv(2048)


@contextlib.contextmanager
def load(client: Namespace, address: str, chunk: int = 200_000) -> Iterator[threading.Event]:
    """Uploads and downloads in a row, in the background, reconnecting when cut; the event ends it early."""
    stopping = threading.Event()

    def work() -> None:
        while not stopping.is_set():
            with contextlib.suppress(OSError), connect(client, address, timeout=1) as opened:
                while not stopping.is_set():
                    opened.sendall(b"UP %d\n" % chunk)
                    send_zeros(opened, chunk)
                    take(opened, 4)
                    opened.sendall(b"DOWN %d\n" % chunk)
                    take(opened, chunk)
            stopping.wait(0.1)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield stopping
    finally:
        stopping.set()
        thread.join(10)


def resolve(client: Namespace, server: str, name: str, *, tcp: bool = False, timeout: float = 3) -> list[str]:
    """The addresses of a name, asked without EDNS: over UDP, and again over TCP where the answer was cut."""
    addresses: list[str] = []
    for kind in (1, 28):
        query = struct.pack("!HHHHHH", 4242, 0x0100, 1, 0, 0, 0) + wire_name(name) + struct.pack("!HH", kind, 1)
        answer = b"" if tcp else _ask_udp(client, server, query, timeout)
        if tcp or answer[2] & 0x02:
            answer = _ask_tcp(client, server, query, timeout)
        addresses += answers(answer)
    return addresses


def _ask_udp(client: Namespace, server: str, query: bytes, timeout: float) -> bytes:
    with client.entered():
        opened = socket.socket(socket.AF_INET6 if is_six(server) else socket.AF_INET, socket.SOCK_DGRAM)
    with opened:
        opened.settimeout(timeout)
        opened.connect((server, 53))
        opened.send(query)
        return opened.recv(4096)


def _ask_tcp(client: Namespace, server: str, query: bytes, timeout: float) -> bytes:
    with connect(client, server, 53, timeout) as opened:
        opened.sendall(struct.pack("!H", len(query)) + query)
        return take(opened, struct.unpack("!H", take(opened, 2))[0])


def wire_name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def answers(message: bytes) -> list[str]:
    """Addresses in the answer section; only what dnsmasq writes is understood."""
    count = struct.unpack_from("!H", message, 6)[0]
    at = message.index(b"\0", 12) + 5
    found = []
    for _ in range(count):
        while message[at] and message[at] < 0xC0:
            at += message[at] + 1
        at += 2 if message[at] else 1
        kind, _class, _ttl, length = struct.unpack_from("!HHIH", message, at)
        at += 10
        if kind in (1, 28):
            family = socket.AF_INET if kind == 1 else socket.AF_INET6
            found.append(socket.inet_ntop(family, message[at : at + length]))
        at += length
    return found


def send_zeros(opened: socket.socket, count: int) -> None:
    block = bytes(65536)
    while count > 0:
        count -= opened.send(block[:count])


def skip(reader: object, count: int) -> None:
    while count > 0:
        data = reader.read(min(count, 65536))  # type: ignore[attr-defined]
        if not data:
            raise ConnectionError("closed early")
        count -= len(data)


def take(opened: socket.socket, count: int) -> bytes:
    """Exactly `count` bytes (only the last 64 KB are returned)."""
    kept = b""
    while count > 0:
        data = opened.recv(min(count, 65536))
        if not data:
            raise ConnectionError("closed early")
        count -= len(data)
        kept = (kept + data)[-65536:]
    return kept
