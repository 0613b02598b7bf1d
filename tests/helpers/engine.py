"""docker-compose.yml brought up in boxes: networks, names, files, users, health and order as the file says.

The image is this checkout with the Dockerfile's environment; for PostgreSQL, Debian's packages. What is not done: the
build, restarts, limits on memory and processors.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from helpers.boxes import CHECKOUT, WITH_US, Box, Mount, script
from helpers.composed import compose
from helpers.waiting import PATIENCE, until

POSTGRES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), Path("/none"))
KERNELS = Path.home() / ".cache/lstm_search/image"
"""The image's compiled kernels, kept for the next time."""

RELAY = str(Path(__file__).with_name("relay.py"))

SUBNET = "10.231.{}.{}"


def image_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """What the Dockerfile sets in its last stage."""
    text = (CHECKOUT / "Dockerfile").read_text().rpartition("\nFROM ")[2].replace("\\\n", " ")
    known = dict(re.findall(r"^ARG (\w+)=(\S*)$", text, re.MULTILINE)) | settings | {"PATH": "/usr/bin:/bin"}
    found: dict[str, str] = {}
    for name, value in re.findall(r"(\w+)=(\S+)", " ".join(re.findall(r"^ENV (.*)$", text, re.MULTILINE))):
        found[name] = re.sub(r"\$\{?(\w+)\}?", lambda match: known[match[1]], value)
    return found


class Engine:
    """The services of the compose file, in one folder; `server` is the machine that they would run on."""

    ray_url, mlflow_url = "http://127.0.0.1:8265", "http://127.0.0.1:5000"
    """As the server's users reach them."""

    head_address, mlflow_inside = "ray-node:6379", "http://mlflow:5000"
    """As the driver reaches them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run(
            [sys.executable, CHECKOUT / "docker/make_secrets.py"], cwd=folder, check=True, capture_output=True
        )
        self.settings = dict(line.split("=") for line in (folder / ".env").read_text().split())
        self.file = compose(self.settings)
        self.services: dict[str, dict[str, Any]] = self.file["services"]
        self.boxes: dict[str, Box] = {}
        self._running: list[subprocess.Popen[bytes]] = []
        self._wires = 0
        self.head, self.worker = self.address("ray-head", "ray"), self.address("ray-worker", "ray")
        self.agents = {"ray-head": f"{self.head}:52365", "ray-worker": f"{self.worker}:52365"}
        self.server = Box()
        self._lay_networks()

    def build(self, *words: str) -> None:
        """What the Dockerfile runs: compile the kernels, here of one study only."""
        KERNELS.mkdir(parents=True, exist_ok=True)
        environment = image_environment(self.settings) | {"LSTM_SEARCH_CACHE": str(KERNELS)}
        command = [sys.executable, str(CHECKOUT / "docker/compile_kernels.py"), *words]
        subprocess.run(command, env=environment, check=True, capture_output=True)

    def _lay_networks(self) -> None:
        """A bridge a network, each with an address of the server."""
        self.server.network("ip link set lo up")
        for number, name in enumerate(self.file["networks"]):
            self.server.network(f"ip link add {name} type bridge")
            self.server.network(f"ip address add {SUBNET.format(number, 1)}/24 dev {name}")
            self.server.network(f"ip link set {name} up")

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text().strip()

    def address(self, service: str, network: str) -> str:
        """Every service has the same last number in all of its networks; copies of one count on."""
        name, _, copy = service.partition("#")
        last = 10 * (2 + list(self.services).index(name)) + int(copy or 0)
        return SUBNET.format(list(self.file["networks"]).index(network), last)

    def up(self, service: str) -> None:
        """Start a service, and before it what it depends on; a one-shot service must end well."""
        if service in self.boxes:
            return
        name = service.partition("#")[0]
        for other, condition in self.services[name].get("depends_on", {}).items():
            self.up(other)
            if condition["condition"] == "service_healthy":
                self.healthy(other)
        if self.services[name]["restart"] == "no":
            done = self.run(service)
            assert done.returncode == 0, f"{service}: {done.stderr}"
            return
        self._start(service)

    def run(self, service: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`docker compose run --rm`: a one-shot service, its own words replaced by these."""
        box = self._box(service)
        command = [*self._entrypoint(service), *(words or self.services[service]["command"])]
        try:
            return self._in(box, service, command, variables)
        finally:
            if self.boxes.setdefault(service, box) is not box:
                box.close()

    def exec(self, service: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`docker compose exec`."""
        return self._in(self.boxes[service], service, words, variables)

    def close(self) -> None:
        """`docker compose down`."""
        for box in (*self.boxes.values(), self.server):
            box.close()
        for process in self._running:
            process.terminate()
            process.wait(PATIENCE)

    def names(self, words: Sequence[str]) -> list[str]:
        """Words with the names of the file, as they are valid here."""
        return list(words)

    def logs(self, service: str) -> str:
        """Where Ray's processes of that service write."""
        del service
        return "/tmp/ray/session_latest/logs"  # noqa: S108  (in the box)

    def log(self, service: str) -> str:
        """What the service printed."""
        return (self.folder / f"{service}.log").read_text()

    def _in(
        self, box: Box, service: str, words: Sequence[str], variables: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        command = box.words(words, self._service(service)["user"])
        environment = self.environment(service) | variables
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def _service(self, service: str) -> dict[str, Any]:
        return self.services[service.partition("#")[0]]

    def _start(self, service: str) -> None:
        box = self.boxes[service] = self._box(service)
        command = box.words([*self._entrypoint(service), *self._command(service, box)], self._service(service)["user"])
        with (self.folder / f"{service}.log").open("w") as log:
            self._running.append(
                subprocess.Popen(
                    command, env=self.environment(service), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            )
        for port in self._service(service).get("ports", []):
            host, outer, inner = port.split(":")
            door = next(name for name in self._networks(service) if not self.file["networks"][name].get("internal"))
            relay = [sys.executable, RELAY, host, outer, self.address(service, door), inner]
            self._running.append(
                subprocess.Popen([*WITH_US, *self.server.entered("--net"), *relay], stdout=subprocess.DEVNULL)
            )

    def healthy(self, service: str) -> None:
        """Wait until the healthcheck of the file succeeds."""
        test = self._service(service)["healthcheck"]["test"]
        assert test[0] == "CMD"
        until(
            lambda: self.exec(service, *test[1:]).returncode == 0,
            pause=0.5,
            told=lambda: self.log(service)[-3000:],
        )

    def environment(self, service: str) -> dict[str, str]:
        image = (
            {"PATH": f"{POSTGRES}:/usr/bin:/bin", "LANG": "C.UTF-8"}
            if service == "postgres"
            else image_environment(self.settings)
        )
        return image | self._service(service).get("environment", {})

    def _entrypoint(self, service: str) -> list[str]:
        if service == "postgres":
            return []
        return self._service(service).get("entrypoint") or ["python", "/opt/lstm/entrypoint.py"]

    def _command(self, service: str, box: Box) -> list[str]:
        if service != "postgres":
            return self._service(service)["command"]
        self._initialise(box)
        return ["postgres", "-D", self.environment(service)["PGDATA"], "-c", "listen_addresses=*", "-c", "fsync=off"]

    def _initialise(self, box: Box) -> None:
        """What the image of PostgreSQL does before its server starts for the first time."""
        given = self.environment("postgres")
        options = f"--username={given['POSTGRES_USER']} --pwfile={given['POSTGRES_PASSWORD_FILE']}"
        lines = [
            f"initdb -D $PGDATA {options} {given['POSTGRES_INITDB_ARGS']}",
            "echo 'host all all all scram-sha-256' >> $PGDATA/pg_hba.conf",
            "pg_ctl start --silent --log=/tmp/log -o '-c listen_addresses='",
            "export PGPASSWORD=$(cat $POSTGRES_PASSWORD_FILE)",
            "for file in /docker-entrypoint-initdb.d/*.sql; do",
            "psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username=$POSTGRES_USER --file=$file postgres",
            "done",
            "pg_ctl stop --silent",
        ]
        done = self._in(box, "postgres", ["sh", "-ec", "\n".join(lines)], {})
        assert done.returncode == 0, done.stderr

    def _box(self, service: str) -> Box:
        """A container of the service: its files, its place in the networks."""
        given = self._service(service)
        root = self.folder / "boxes" / f"{service}-{time.monotonic_ns()}"
        root.mkdir(parents=True)
        size = given.get("shm_size", "64m")
        tmpfs = [*given["tmpfs"], f"/dev/shm:rw,nosuid,nodev,size={size},mode=1777"]  # noqa: S108  (in the box)
        shared = given.get("network_mode", "").removeprefix("service:")
        box = Box(
            root, script(root, self._mounts(service), tmpfs, self._files(shared or service)), self.boxes.get(shared)
        )
        if not shared:
            for network in self._networks(service):
                self._wire(box, service, network)
            box.network("ip link set lo up")
        return box

    def _networks(self, service: str) -> list[str]:
        return list(self._service(service)["networks"])

    def _wire(self, box: Box, service: str, network: str) -> None:
        """A cable from the box to the bridge; Docker's default route is that of a network that is not internal."""
        self._wires += 1
        here, there = f"wire{self._wires}", f"eth{self._wires}"
        self.server.network(f"ip link add {here} type veth peer name {there} netns {box.pid}")
        self.server.network(f"ip link set {here} master {network} up")
        address = self.address(service, network)
        box.network(f"ip address add {address}/24 dev {there}")
        box.network(f"ip link set {there} up")
        given = self.file["networks"][network]
        if not given.get("internal"):
            box.network(f"ip route add default via {address.rpartition('.')[0]}.1")
        if given.get("driver_opts", {}).get("com.docker.network.bridge.enable_icc") == "false":
            self.server.network(f"bridge link set dev {here} isolated on")

    def _hosts(self, service: str) -> dict[str, str]:
        """Names as Docker resolves them: of several networks the first counts, and internal ones come last."""
        networks = sorted(
            self._networks(service), key=lambda name: (bool(self.file["networks"][name].get("internal")), name)
        )
        found: dict[str, str] = {"localhost": "127.0.0.1"}
        for network in networks:
            for other, given in self.services.items():
                members = given.get("networks", [])
                if network in members:
                    more = (members[network] or {}).get("aliases", []) if isinstance(members, dict) else []
                    for name in (other, *more):
                        found.setdefault(name, self.address(other, network))
        return found

    def _files(self, service: str) -> dict[str, str]:
        uid, gid = self._service(service)["user"].split(":")
        hosts = "".join(f"{address}\t{name}\n" for name, address in self._hosts(service).items())
        passwd = f"root:x:0:0::/root:/bin/sh\nlstm:x:{uid}:{gid}::/home/lstm:/bin/sh\n"
        return {
            "/etc/hosts": hosts,
            "/etc/passwd": passwd,
            "/etc/group": f"lstm:x:{gid}:\n",
            "/etc/resolv.conf": "",
            "/home/lstm/.profile": "",
        }

    def _mounts(self, service: str) -> dict[str, Mount]:
        given = self._service(service)
        found = {f"/opt/lstm/{path.name}": Mount(path) for path in (CHECKOUT / "docker").glob("*.py")}
        found |= {"/opt/kernels": Mount(KERNELS), "/opt/venv": Mount(Path(sys.prefix))}
        for entry in given.get("volumes", []):
            name, target = entry.split(":")
            found[target] = Mount(self._folder(f"volume-{name}"), writable=True)
        for kind, place in (("secrets", "/run/secrets/"), ("configs", "/")):
            for entry in given.get(kind, []):
                source, target = (
                    (entry, place + entry) if isinstance(entry, str) else (entry["source"], entry["target"])
                )
                path = self.file[kind][source]["file"]
                target = target if target.startswith("/") else place + target
                found[target] = Mount((self.folder if kind == "secrets" else CHECKOUT) / path)
        return found

    def _folder(self, name: str) -> Path:
        """A folder that belongs to the containers' user."""
        path = self.folder / name
        if not path.exists():
            path.mkdir()
            os.chown(path, int(self.settings["LSTM_UID"]), int(self.settings["LSTM_GID"]))
        return path
