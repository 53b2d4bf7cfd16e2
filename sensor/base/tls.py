"""TLS sockets for libraries that forget the one whose handshake failed."""

import ssl


class ForgettableSocket(ssl.SSLSocket):
    """Closes itself where its handshake fails, instead of leaving that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        """As promised there; a socket that only has to wait stays open."""
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except BaseException:
            self.close()
            raise


def forgettable(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same context, whose sockets are such ones."""
    context.sslsocket_class = ForgettableSocket
    return context
