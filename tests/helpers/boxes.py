"""Containers without an engine: namespaces of the kernel for files, processes, names and networks.

A box sees what its container would: the image, read-only, its secrets, its volumes and tmpfs, the hosts of its
networks. Its programs run as the container's user, without capabilities. Takes root, util-linux and iproute2.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from helpers.waiting import PATIENCE, until

TOOLS = ("unshare", "nsenter", "setpriv", "ip", "bridge", "mount", "chroot")
SYSTEM = ("/usr", "/etc/ssl", "/etc/alternatives", "/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/localtime", "/sys")
DEVICES = ("null", "zero", "full", "random", "urandom")
WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
"""The words before a command that shall not outlive this process."""

CHECKOUT = Path(__file__).parents[2]


def impossible() -> str:
    """Why no box can be made here; empty where one can."""
    if os.environ.get("LSTM_SEARCH_INTEGRATION") == "loopback":
        return "LSTM_SEARCH_INTEGRATION=loopback"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"without {', '.join(missing)} (Debian: util-linux, iproute2)"
    if os.geteuid() != 0:
        return "namespaces of the network take root"
    trial = ["unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "mount", "-t", "tmpfs", "t", "/mnt"]
    tried = subprocess.run(trial, capture_output=True, text=True, check=False)
    return f"the kernel refuses namespaces ({tried.stderr.strip()})" if tried.returncode else ""


class Mount(NamedTuple):
    """A file or folder of this machine inside a box."""

    source: Path
    writable: bool = False


class Box:
    """One container, or with no `root` a network alone. Everything in it ends with `close`."""

    def __init__(self, root: Path | None = None, script: str = "", network: Box | None = None) -> None:
        kinds = ["--mount", "--pid", "--ipc", "--uts"] if root else []
        wait = 'trap "" CHLD; exec sleep infinity'  # children of the first process that nobody waits for vanish
        inner = f"{script}\nexec chroot {root} sh -c '{wait}'" if root else wait
        command = ["unshare", *([] if network else ["--net"]), *kinds, "--fork", "--kill-child", "sh", "-ec", inner]
        command = [*WITH_US, *command]
        self._holder = subprocess.Popen(
            [*(network.entered("--net") if network else []), *command],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._kinds = [*kinds, "--net", *(["--root"] if root else [])]
        self.pid = self._first()

    def _first(self) -> int:
        """The first process of the box, when all is mounted."""
        found: list[int] = []

        def mounted() -> bool:
            with suppress(OSError, ValueError):
                holder = self._holder.pid
                pid = int(Path(f"/proc/{holder}/task/{holder}/children").read_text())
                if b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]:
                    found.append(pid)
            return bool(found) or self._holder.poll() is not None

        until(mounted, pause=0.02)
        if not found:
            raise RuntimeError(f"no box: {self._holder.communicate()[1].decode()}")
        return found[0]

    def entered(self, *kinds: str) -> list[str]:
        """The words before a command that runs in this box as root."""
        return ["nsenter", f"--target={self.pid}", *(kinds or self._kinds), "--"]

    def network(self, line: str) -> None:
        """Run one `ip` or `bridge` command on the network of this box."""
        done = subprocess.run([*self.entered("--net"), *line.split()], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr}"

    def words(self, command: Sequence[str], user: str) -> list[str]:
        """A command as it runs in the box: as UID:GID, without capabilities and without a way to any."""
        uid, gid = user.split(":")
        drop = [f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
        return [*self.entered(), "env", "--chdir=/", "setpriv", *drop, "--no-new-privs", "--", *command]

    def listening(self) -> set[tuple[str, int]]:
        """Address and port of every listening TCP socket, from the kernel's tables."""
        return listening(Path(f"/proc/{self.pid}/net"))

    def close(self) -> None:
        """End every process of the box."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._holder.wait(PATIENCE)
        assert self._holder.stderr
        self._holder.stderr.close()


def listening(tables: Path) -> set[tuple[str, int]]:
    """Address and port of every socket that listens, from /proc/PID/net/tcp and tcp6."""
    found = set()
    for name in ("tcp", "tcp6"):
        for line in (tables / name).read_text().splitlines()[1:]:
            local, _, state = line.split()[1:4]
            if state == "0A":
                address, port = local.split(":")
                found.add((_address(address), int(port, 16)))
    return found


def _address(digits: str) -> str:
    """An address of the kernel's tables: 32-bit words, each with its lowest byte first."""
    import ipaddress

    raw = b"".join(bytes.fromhex(digits[i : i + 8])[::-1] for i in range(0, len(digits), 8))
    address = ipaddress.ip_address(raw)
    return str(getattr(address, "ipv4_mapped", None) or address)


def script(root: Path, mounts: Mapping[str, Mount], tmpfs: Sequence[str], files: Mapping[str, str]) -> str:
    """What lays out the files of a box: a shell script that runs in its own namespaces."""
    at = f"{root}/"
    lines = ["mount --make-rprivate /", f"mount -t tmpfs -o mode=755,size=16m box {root}"]
    lines += [f"mkdir -p {at}proc {at}dev/shm && mount -t proc proc {at}proc"]
    lines += [
        f"ln -s usr/{name} {at}{name}" for name in ("bin", "sbin", "lib", "lib64") if Path(f"/{name}").is_symlink()
    ]
    for entry in tmpfs:
        target, _, options = entry.partition(":")
        lines.append(f"mkdir -p {root}{target} && mount -t tmpfs -o {options} tmpfs {root}{target}")
    for name, text in files.items():
        lines.append(f"mkdir -p {root}{Path(name).parent} && printf %s {shlex.quote(text)} > {root}{name}")
    lines += [line for target, mount in {**_system(), **mounts}.items() for line in _bound(root, target, mount)]
    return "\n".join([*lines, f"mount -o remount,ro {root}"])


def _system() -> dict[str, Mount]:
    """What every image has: the system's programs, Python, this package."""
    paths = [*SYSTEM, *(f"/lib{n}" for n in ("", "64") if not Path(f"/lib{n}").is_symlink())]
    paths += [str(CHECKOUT), sys.prefix, sys.base_prefix]
    found = {path: Mount(Path(path)) for path in dict.fromkeys(paths) if Path(path).exists()}
    return found | {f"/dev/{name}": Mount(Path(f"/dev/{name}"), writable=True) for name in DEVICES}


def _bound(root: Path, target: str, mount: Mount) -> list[str]:
    place = shlex.quote(f"{root}{target}")
    parent = shlex.quote(str(Path(f"{root}{target}").parent))
    make = f"mkdir -p {place}" if mount.source.is_dir() else f"mkdir -p {parent} && touch {place}"
    lines = [f"[ -e {place} ] || {{ {make}; }}", f"mount --bind {shlex.quote(str(mount.source))} {place}"]
    return lines if mount.writable else [*lines, f"mount -o remount,bind,ro {place}"]


@contextmanager
def inside(box: Box) -> Iterator[None]:
    """This thread, and what it starts, is in the network of the box."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as before, Path(f"/proc/{box.pid}/ns/net").open() as there:
        _enter(libc, there.fileno())
        try:
            yield
        finally:
            _enter(libc, before.fileno())


def _enter(libc: ctypes.CDLL, handle: int) -> None:
    if libc.setns(handle, 0x40000000):  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "setns")
