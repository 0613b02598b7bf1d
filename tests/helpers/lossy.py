"""A way to a server on which replies get lost after the work is done."""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from helpers.waiting import PATIENCE


class Lossy(ThreadingHTTPServer):
    """Passes requests on to `port`. Of a share of all POSTs, drawn by chance, the reply is lost after the work is done:
    the connection is cut, or the answer is 503."""

    daemon_threads = True

    def __init__(self, port: int, chance: random.Random, share: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target, self.address = port, f"http://127.0.0.1:{self.server_port}"
        self.posts, self.fates = 0, list[str]()
        self._chance, self._share = chance, share

    def fate(self) -> str:
        """What becomes of the reply to the next POST."""
        self.posts += 1
        if self._chance.random() >= self._share:
            return "passed on"
        fate = self._chance.choice(["cut", "503"])
        self.fates.append(f"{self.posts}: {fate}")
        return fate

    @contextmanager
    def passing(self) -> Iterator[Lossy]:
        """While it listens."""
        with self:
            threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}).start()
            yield self
            self.shutdown()


class _Handler(BaseHTTPRequestHandler):
    server: Lossy

    def do_GET(self) -> None:
        self._pass_on("passed on")

    def do_POST(self) -> None:
        self._pass_on(self.server.fate())

    do_PATCH = do_PUT = do_GET

    def _pass_on(self, fate: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection("127.0.0.1", self.server.target, timeout=PATIENCE)
        headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
        connection.request(self.command, self.path, body, headers)
        reply = connection.getresponse()
        content = reply.read()
        connection.close()
        if fate == "cut":
            self.close_connection = True
            return
        self.send_response(503 if fate == "503" else reply.status)
        self.send_header("Content-Type", reply.headers.get("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *values: object) -> None:
        pass
