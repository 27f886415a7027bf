"""A small web server on this machine that serves a folder and fails on purpose."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

Answer = Callable[[dict[str, object]], object]

FOREVER = 1_000_000


@dataclass
class Faults:
    """What goes wrong, by path; each entry is used up as requests come in."""

    statuses: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Status codes to answer with, first to last, before the file is served."""
    stalls: Counter[str] = field(default_factory=Counter)
    """How many requests are kept waiting for ``stall_s``."""
    stall_s: float = 1.5
    cut: dict[str, int] = field(default_factory=dict)
    """Paths whose answers end after so many bytes, with the whole length promised."""
    needed_token: str = ""
    """Answer 403 unless ``?token=`` says this."""
    needed_header: str = ""
    """Answer 403 unless the Authorization header says this."""


class Server:
    """A running server; ``url`` is its address without a slash at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults = Faults()
        self.answers: dict[str, Answer] = {}
        """JSON answers by path: a function of the request's parameters or body."""
        self.requests: list[tuple[str, str]] = []
        """Method and path with query, in order."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                server.answer(self)

            def do_HEAD(self) -> None:
                server.answer(self)

            def do_POST(self) -> None:
                server.answer(self)

        class Listener(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that gave up is what these tests are about."""

        self._httpd = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._httpd.server_address[1]}"
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._httpd.shutdown()
        self._thread.join()
        self._httpd.server_close()

    def count(self, path: str, method: str | None = None) -> int:
        """How often a path was asked for."""
        return sum(
            urlparse(asked).path == path and method in (None, how) for how, asked in self.requests
        )

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        parsed = urlparse(request.path)
        path, query = parsed.path, parse_qs(parsed.query)
        self.requests.append((request.command, request.path))
        faults = self.faults
        if faults.stalls[path] > 0:
            faults.stalls[path] -= 1
            time.sleep(faults.stall_s)
        body: dict[str, object] = {k: v[0] for k, v in query.items()}
        if request.command == "POST":
            length = int(request.headers.get("content-length", 0))
            body = json.loads(request.rfile.read(length))
        is_file = path not in self.answers
        if is_file and faults.needed_token and query.get("token") != [faults.needed_token]:
            return self._send(request, 403, b"no token")
        if faults.needed_header and request.headers.get("authorization") != faults.needed_header:
            return self._send(request, 403, b"no header")
        if faults.statuses[path]:
            return self._send(request, faults.statuses[path].pop(0), b"on purpose")
        if not is_file:
            data = json.dumps(self.answers[path](body)).encode()
            return self._send(request, 200, data, kind="application/json")
        file = self.folder / path.lstrip("/")
        if not file.is_file():
            return self._send(request, 404, b"not here")
        self._send_file(request, file.read_bytes(), faults.cut.get(path))
        return None

    def _send(
        self, request: BaseHTTPRequestHandler, status: int, data: bytes, *, kind: str = "text/plain"
    ) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(data)

    def _send_file(self, request: BaseHTTPRequestHandler, data: bytes, cut: int | None) -> None:
        asked = request.headers.get("range")
        start, end = 0, len(data) - 1
        if asked and asked.startswith("bytes="):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or end), end)
        part = data[start : end + 1]
        try:
            request.send_response(206 if asked else 200)
            request.send_header("Accept-Ranges", "bytes")
            request.send_header("Content-Length", str(len(part)))
            if asked:
                request.send_header("Content-Range", f"bytes {start}-{end}/{len(data)}")
            request.end_headers()
            if request.command != "HEAD":
                request.wfile.write(part if cut is None else part[: max(0, cut - start)])
                if cut is not None and end >= cut:
                    request.close_connection = True
        except (BrokenPipeError, ConnectionResetError):
            request.close_connection = True


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """Serve a folder for the length of a ``with``."""
    server = Server(folder)
    try:
        yield server
    finally:
        server.close()
