"""A real S3 server and a real Dask cluster, both on loopback, started once for all tests that want them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client
from moto.server import ThreadedMotoServer

from llmzip.corpus import Workforce

S3_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
}  # fmt: skip


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of an S3 server, which this process and those that it starts find by themselves."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    before = dict(os.environ)
    os.environ |= S3_ENVIRONMENT | {"AWS_ENDPOINT_URL": address}
    yield address
    server.stop()
    os.environ.clear()
    os.environ.update(before)


class Cluster:
    """A scheduler and its workers, each a process of its own and none looked after by another."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "scheduler.json"
        self._log = (folder / "log").open("wb")
        self.workers: list[subprocess.Popen[bytes]] = []
        self._scheduler = self._start("scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard")
        until = time.monotonic() + 60
        while not self.address and time.monotonic() < until:
            time.sleep(0.05)

    @property
    def address(self) -> str:
        try:
            return str(json.loads(self._file.read_text())["address"])
        except (OSError, ValueError):
            return ""

    def add_worker(self) -> subprocess.Popen[bytes]:
        worker = self._start("worker", "--nthreads", "1", "--no-nanny", "--no-dashboard")
        self.workers.append(worker)
        return worker

    def _start(self, what: str, *options: str) -> subprocess.Popen[bytes]:
        module = f"distributed.cli.dask_{what}"
        command = [sys.executable, "-m", module, *options, "--scheduler-file", str(self._file)]
        return subprocess.Popen(command, stdout=self._log, stderr=self._log, cwd=self._file.parent)

    def end(self) -> None:
        for process in (*self.workers, self._scheduler):
            process.kill()
            process.wait()
        self._log.close()


@pytest.fixture(scope="session")
def cluster(s3: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, which know the S3 server."""
    running = Cluster(tmp_path_factory.mktemp("cluster"))
    running.add_worker()
    running.add_worker()
    yield running
    running.end()


@pytest.fixture(scope="session")
def workforce(cluster: Cluster) -> Iterator[Workforce]:
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=300)
        yield Workforce(client)
