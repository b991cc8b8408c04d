"""Pages in headless Chromium: a server for them that takes what they report."""

from __future__ import annotations

import contextlib
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

CHROMIUM = shutil.which("chromium")


class Site(NamedTuple):
    """A folder that is served, and what its pages have posted."""

    folder: Path
    port: int
    posted: queue.Queue[bytes]

    def reported_by(self, page: str, profile: Path, *options: str) -> bytes:
        """Open a page of the folder in a browser of its own and wait until it posts something.

        Args:
            page: a file's name, with a query if there is one.
            profile: an empty folder for the browser.
            options: of Chromium.

        Raises:
            queue.Empty: nothing came within five minutes.
        """
        usual = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        command = [str(CHROMIUM), *usual, *options, f"http://127.0.0.1:{self.port}/{page}"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as browser:
            try:
                return self.posted.get(timeout=300)
            finally:
                browser.terminate()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *args: Any, posted: queue.Queue[bytes], **options: Any) -> None:
        self.posted = posted
        super().__init__(*args, **options)

    def do_POST(self) -> None:
        self.posted.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Site]:
    """Serve a folder on loopback."""
    posted: queue.Queue[bytes] = queue.Queue()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder), posted=posted))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Site(folder, server.server_port, posted)
    finally:
        server.shutdown()
        server.server_close()
