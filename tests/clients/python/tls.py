"""TLS before the gateway, as a load balancer does it: AWS's own SDK sends an API key over nothing else."""

import shutil
import socket
import ssl
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import trustme


def _pour(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def _serve(listener: socket.socket, context: ssl.SSLContext, upstream: tuple[str, int]) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_relay, args=(plain, context, upstream), daemon=True).start()


def _relay(plain: socket.socket, context: ssl.SSLContext, upstream: tuple[str, int]) -> None:
    try:
        client = context.wrap_socket(plain, server_side=True)
        server = socket.create_connection(upstream)
    except OSError:
        plain.close()
        return
    back = threading.Thread(target=_pour, args=(server, client), daemon=True)
    back.start()
    _pour(client, server)
    back.join()
    client.close()
    server.close()


@contextmanager
def terminated(url: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """An https URL that leads to a plain one, and the file of the authority that vouches for it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    bundle = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    host, _, port = url.removeprefix("http://").partition(":")
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve, args=(listener, context, (host, int(port))), daemon=True).start()
    try:
        yield f"https://localhost:{listener.getsockname()[1]}", bundle
    finally:
        # A thread that waits in accept keeps the port open until it is woken.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        shutil.rmtree(folder, ignore_errors=True)
