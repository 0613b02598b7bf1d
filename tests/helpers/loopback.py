"""All services of docker-compose.yml as processes of this machine: where no containers can be made.

Commands and environments are the file's, with other ports and folders. Ray listens on this machine's own address, since
it refuses a second node on loopback alone; everything else listens on 127.0.0.1.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from helpers.composed import ROOT, here
from helpers.engine import KERNELS
from helpers.program import free_port, processes
from helpers.stack import Stack, wait_for
from helpers.waiting import PATIENCE


def own_address() -> str:
    """The address by which this machine reaches others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return "127.0.0.1"


class Loopback(Stack):
    """With the face of `engine.Engine`, as far as processes without walls can have it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.head = self.worker = own_address()
        ports = {name: free_port() for name in ("gcs", "dashboard", "client", "ray-head", "ray-worker")}
        self.agents = {name: f"{self.head}:{ports[name]}" for name in ("ray-head", "ray-worker")}
        self.ray_url, self.mlflow_url = f"http://127.0.0.1:{ports['dashboard']}", self.address
        self.head_address, self.mlflow_inside = f"{self.head}:{ports['gcs']}", self.address
        self.places = {
            "127.0.0.1:8265": self.ray_url.removeprefix("http://"),
            "--node-ip-address=ray-node": f"--node-ip-address={self.head}",
            "ray-head:6379": self.head_address,
            "--port=6379": f"--port={ports['gcs']}",
            "--dashboard-port=8265": f"--dashboard-port={ports['dashboard']}",
            "--dashboard-host=0.0.0.0": "--dashboard-host=127.0.0.1",
            "/opt/lstm": str(ROOT / "docker"),
            "/opt/kernels": str(KERNELS),
            "/tmp/lstm_search": f"{folder}/cache",  # noqa: S108
            "/tmp/matplotlib": f"{folder}/matplotlib",  # noqa: S108
            "=/studies": f"={folder}/studies",
            "/studies/": f"{folder}/studies/",
            **self.places,
        }
        self._more = {
            "ray-head": [f"--ray-client-server-port={ports['client']}"],
            "ray-worker": [f"--node-ip-address={self.worker}"],
        }
        self._services, self._nodes = ExitStack(), list[subprocess.Popen[bytes]]()
        for place in ("studies", ".mlflow"):
            (folder / place).mkdir()
        shutil.copy(folder / "secrets/mlflow-driver-login", folder / ".mlflow/credentials")

    def command(self, name: str) -> list[str]:
        words = super().command(name)
        if name in self.agents:
            port = self.agents[name].rpartition(":")[2]
            words = here(words, {"=/tmp/ray": f"={self.folder}/{name[4]}"})
            words += [f"--dashboard-agent-listen-port={port}", *self._more[name]]
        return words

    def environment(self, name: str) -> dict[str, str]:
        found = super().environment(name)
        if name == "ray-head":  # as the processes of a container find the cluster in it
            found["RAY_ADDRESS"] = self.head_address
        return found

    def build(self, *words: str) -> None:
        """Compile the kernels of a study."""
        KERNELS.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(ROOT / "docker/compile_kernels.py"), *words]
        cache = {"NUMBA_CPU_NAME": "x86-64-v3", "LSTM_SEARCH_CACHE": str(KERNELS)}
        subprocess.run(command, env=os.environ | cache, check=True, capture_output=True)

    def up(self, service: str) -> None:
        """Everything, in the order of the file."""
        assert service == "ray-worker"
        self._services.enter_context(self.postgres())
        self.once("schema")
        self._services.enter_context(self.mlflow())
        self.once("logins")
        for name in ("ray-head", "ray-worker"):
            self._start(name)
            test = here(self.services[name]["healthcheck"]["test"], self.places)
            port = self.agents[name].rpartition(":")[2]
            check = [sys.executable, *here(test[2:], {":52365/": f":{port}/"})]
            wait_for(
                lambda check=check: not subprocess.run(check, capture_output=True, check=False).returncode,
                self._log(name),
            )

    def healthy(self, name: str) -> bool:
        """Of the nodes, `up` has made sure."""
        return name in self.agents or super().healthy(name)

    def run(self, service: str, *words: str) -> subprocess.CompletedProcess[str]:
        """`docker compose run --rm submit`."""
        entrypoint = here(self.services[service]["entrypoint"], self.places)
        return self._done([sys.executable, *entrypoint[1:], *self.names(words)], service)

    def exec(self, service: str, *words: str) -> subprocess.CompletedProcess[str]:
        """`docker compose exec`."""
        return self._done(here(list(words), self.places), service)

    def close(self) -> None:
        """End Ray's processes by their ids, the raylets first, then the rest."""
        for program in ("raylet", ""):
            found = [
                pid for pid, (_, command) in processes().items() if f"{self.folder}/" in command and program in command
            ]
            for number in (signal.SIGTERM, signal.SIGKILL):
                for pid in set(found) - {os.getpid()}:
                    with suppress(ProcessLookupError):
                        os.kill(pid, number)
                with suppress(subprocess.TimeoutExpired):
                    for node in self._nodes:
                        node.wait(1)  # a moment to end by themselves before they are killed
        for node in self._nodes:
            node.wait(PATIENCE)
        self._services.close()

    def names(self, words: Sequence[str]) -> list[str]:
        """Words with the names of the file, as they are valid here."""
        return [*here(list(words), self.places), f"submit.address={self.ray_url}"]

    def logs(self, service: str) -> str:
        """Where Ray's processes of that service write."""
        return f"{self.folder}/{service[4]}/session_latest/logs"

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _start(self, name: str) -> None:
        with self._log(name).open("w") as log:
            self._nodes.append(subprocess.Popen(
                self.command(name), env=self.environment(name), cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            ))  # fmt: skip

    def _done(self, words: Sequence[str], service: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment(service) | {"NUMBA_CPU_NAME": "x86-64-v3"}
        return subprocess.run(
            words, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
