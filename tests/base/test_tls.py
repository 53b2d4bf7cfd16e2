"""Sockets whose handshake failed are closed at once, by themselves."""

import gc
import socket
import ssl
import threading
import warnings

import pytest

from sensor.base.tls import ForgettableSocket, forgettable


def answering(listener: socket.socket, answer: bytes) -> None:
    taken, _ = listener.accept()
    with taken:
        taken.recv(4096)
        taken.sendall(answer)


def test_a_failed_handshake_leaves_nothing_to_the_collector() -> None:
    context = forgettable(ssl.create_default_context())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answering, args=(listener, b"this is no TLS at all"))
        thread.start()
        plain = socket.create_connection(listener.getsockname(), 5)
        wrapped = context.wrap_socket(plain, server_hostname="127.0.0.1", do_handshake_on_connect=False)
        assert isinstance(wrapped, ForgettableSocket)
        with pytest.raises(ssl.SSLError):
            wrapped.do_handshake()
        thread.join()
    assert wrapped.fileno() == -1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del wrapped
        gc.collect()


def test_one_that_has_to_wait_stays_open() -> None:
    context = forgettable(ssl.create_default_context())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plain = socket.create_connection(listener.getsockname(), 5)
        with context.wrap_socket(plain, server_hostname="127.0.0.1", do_handshake_on_connect=False) as wrapped:
            wrapped.setblocking(False)
            with pytest.raises(ssl.SSLWantReadError):
                wrapped.do_handshake()
            assert wrapped.fileno() >= 0
