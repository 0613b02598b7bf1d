"""Studies as jobs of a Ray cluster: submit, follow, stop, through Ray's Jobs API.

The entrypoint is always the same text. What the user asked for travels beside it, in one variable of the job's
environment, in an alphabet in which neither a shell nor Ray finds anything to expand. A file in the job's working
folder would do that too, but then the job would run in a folder that Ray throws away, and `home=studies` with it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import re
import secrets
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

from lstm_search.checks import setting, settle
from lstm_search.execute import cluster
from lstm_search.execute.cluster import ClusterUnreachable

ENTRYPOINT = "python -m lstm_search.cli.job"
VARIABLE = "LSTM_SEARCH_JOB"
ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})

_PROBE_SECONDS = 2.5
_STOP_SECONDS = 15  # from SIGTERM to SIGKILL; by itself Ray would grant 3, and a driver ends within 10
_LOOPBACK = re.compile(r"127\.\d+\.\d+\.\d+|localhost|::1")


class UnknownJob(ValueError):  # noqa: N818  (named by what happened)
    """The cluster has no job of that id."""


@dataclass(frozen=True)
class SubmitSettings:
    """To which cluster a study goes, and what to do with its job there."""

    address: str = setting(
        "http://127.0.0.1:8265", "dashboard of the cluster's head: on this machine (a tunnel will do), or https"
    )
    job: str | None = setting(None, "a job to attach to or to stop; null takes the one of the study")
    wait: bool = setting(True, "show the job's log until it ends, and exit as it did; false returns at once")
    stop: bool = setting(False, "stop the job instead")

    def __post_init__(self) -> None:
        settle(self, "submit")
        check_address(self.address)
        if self.job is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", self.job):
            raise ValueError(
                f"submit.job={self.job[:80]}: takes the id that submit printed, for example table-9-0123456789ab-1"
            )


def check_address(address: str) -> None:
    """Refuse an address to which a token would travel in the clear, and what is none. ValueError."""
    shape = r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(:\d{1,5})?/?"
    if not re.fullmatch(shape, address) or urlsplit(address).hostname is None or not cluster.has_port(address):
        masked = re.sub(r"://[^/@]*@", "://***@", address)[:120]
        raise ValueError(
            f"submit.address={masked}: takes the address of the head's dashboard, http://127.0.0.1:8265 or "
            "https://HOST, without user, path or query; a port is 1 to 65535"
        )
    if address.startswith("http:") and not _is_loopback(address):
        raise ValueError(
            f"submit.address={address}: plain http to another machine would show the token to everyone on the way; "
            "take https, or a tunnel: ssh -N -L 8265:127.0.0.1:8265 HOST, and then http://127.0.0.1:8265"
        )


def _is_loopback(address: str) -> bool:
    return _LOOPBACK.fullmatch(urlsplit(address).hostname or "") is not None


def packed(words: Sequence[str]) -> str:
    """Words of a command line as text of letters, digits, - and _ alone."""
    return base64.urlsafe_b64encode(json.dumps(list(words)).encode()).decode().rstrip("=")


def unpacked(text: str) -> list[str]:
    """The inverse of `packed`; ValueError for anything else."""
    try:
        words = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True))
    except ValueError as error:  # of base64, of JSON, or of Unicode
        raise ValueError(f"{VARIABLE}: cannot be read; lstm-search submit sets it") from error
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"{VARIABLE}: takes a list of words; lstm-search submit sets it")
    return words


class Job(NamedTuple):
    """A job as the cluster knows it. `code`: the exit code of its program, None where it has none."""

    name: str
    status: str
    code: int | None = None
    message: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.status in ENDED


class Jobs:
    """The jobs of a cluster, through a `JobSubmissionClient`. Raises ClusterUnreachable where it stops answering."""

    def __init__(self, client: Any, address: str) -> None:
        self.address = address
        self._client = client

    def find(self, name: str) -> Job:
        """The job of that id; UnknownJob where there is none."""
        for job in self._all():
            if job.name == name:
                return job
        known = ", ".join(job.name for job in self._all()[-5:]) or "none"
        raise UnknownJob(f"submit.job={name}: no such job at {self.address}; the last ones there: {known}")

    def latest(self, stem: str) -> Job | None:
        """The last of the jobs `STEM-1`, `STEM-2` and so on; None where there is none."""
        numbered = {_number(job.name, stem): job for job in self._all()}
        last = max(numbered, default=0)
        return numbered[last] if last else None

    def submit(self, stem: str, words: Sequence[str], labels: Mapping[str, str]) -> Job:
        """Start `lstm-search run WORDS` as the next job of that stem. Where another process was faster, its job."""
        last = self.latest(stem)
        name = f"{stem}-{_number(last.name, stem) + 1 if last else 1}"
        variables = {VARIABLE: packed(words), "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_SECONDS)}
        try:
            with self._answering():
                self._client.submit_job(
                    entrypoint=ENTRYPOINT,
                    submission_id=name,
                    runtime_env={"env_vars": variables},
                    metadata=dict(labels),
                )
        except ClusterUnreachable:
            with suppress(UnknownJob):
                return self.find(name)
            raise
        return Job(name, "PENDING")

    def ask(self, verb: str, words: Sequence[str]) -> tuple[Job, str]:
        """Run `lstm-search VERB WORDS` on the head to its end: the job and its log. The cluster keeps neither."""
        name, text, entrypoint = f"{verb}-{secrets.token_hex(6)}", list[str](), f"{ENTRYPOINT} {verb}"
        with self._answering():
            self._client.submit_job(
                entrypoint=entrypoint,
                submission_id=name,
                runtime_env={"env_vars": {VARIABLE: packed(words)}},
            )
        job = self.follow(name, text.append, pause=0.2)
        with self._answering():
            self._client.delete_job(name)
        before, mark, after = "".join(text).partition(f"Running entrypoint for job {name}: {entrypoint}\n")
        return job, after if mark else before  # Ray writes first, into the same log

    def stop(self, name: str) -> None:
        """Ask a job to end; it may take some seconds."""
        with self._answering():
            self._client.stop_job(name)

    def follow(self, name: str, write: Callable[[str], object], pause: float = 1.0) -> Job:
        """Hand the job's log to `write`, from its beginning, until the job has ended."""
        written = 0
        while True:
            written = asyncio.run(self._tail(name, written, write))
            job = self.find(name)
            if job.ended:
                return job
            time.sleep(pause)

    async def _tail(self, name: str, written: int, write: Callable[[str], object]) -> int:
        """Follow the log while the connection holds; `written` characters are handed on already. How many are now."""
        import aiohttp

        seen = 0
        with suppress(RuntimeError, OSError, aiohttp.ClientError):  # it is asked for again, while the job is there
            async with aclosing(self._client.tail_job_logs(name)) as chunks:
                async for text in chunks:
                    new = text[max(0, written - seen) :]
                    seen += len(text)
                    if new:
                        write(new)
        return max(written, seen)

    def _all(self) -> list[Job]:
        """The submitted jobs, the oldest first."""
        with self._answering():
            found = [entry for entry in self._client.list_jobs() if entry.submission_id]
        found.sort(key=lambda entry: entry.start_time or 0)
        return [
            Job(entry.submission_id, str(getattr(entry.status, "value", entry.status)), entry.driver_exit_code,
                entry.message or "")
            for entry in found
        ]  # fmt: skip

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """What goes wrong with a request, as ClusterUnreachable."""
        try:
            yield
        except (RuntimeError, OSError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            raise ClusterUnreachable(
                f"the Ray cluster at {self.address} did not do what was asked: {reason}"
            ) from error


def _number(name: str, stem: str) -> int:
    """The number of a job of this stem; 0 for others."""
    match = re.fullmatch(rf"{re.escape(stem)}-(\d{{1,9}})", name)
    return int(match[1]) if match else 0


@contextmanager
def connect(address: str) -> Iterator[Jobs]:
    """The jobs of the cluster whose dashboard is at `address`, which is asked by hand first: Ray itself waits long.

    The token is looked up where Ray looks. Raises ClusterUnreachable, and what `check_address` raises.
    """
    check_address(address)
    address, token = address.rstrip("/"), cluster.token()
    _probe(address, token)
    direct = ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1,localhost,::1", urlsplit(address).hostname)))
    settings = {
        "RAY_AUTH_MODE": "disabled",  # the header is ours: Ray would keep the first token it saw for the whole process
        "RAY_ADDRESS": None,  # either would be taken instead of the address
        "RAY_API_SERVER_ADDRESS": None,
        **({"NO_PROXY": direct, "no_proxy": direct} if _is_loopback(address) else {}),
    }
    with cluster.environment({**cluster.QUIET, **settings}):
        yield Jobs(_client(address, token), address)


def _client(address: str, token: str) -> Any:
    from ray.job_submission import JobSubmissionClient

    logging.getLogger("ray.dashboard.modules.job.sdk").setLevel(logging.ERROR)
    headers = {"Authorization": f"Bearer {token}"} if token else None
    try:
        return JobSubmissionClient(address, headers=headers, verify=os.environ.get("SSL_CERT_FILE") or True)
    except (RuntimeError, OSError) as error:
        raise ClusterUnreachable(f"Ray's Jobs API does not answer at submit.address={address}: {error}") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to the address that was given, and nowhere else."""

    def redirect_request(  # noqa: PLR0917  (the signature is the library's)
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Follow no redirection: the answer is then an HTTPError of its code."""


def _probe(address: str, token: str) -> None:
    """Ask for the version, within a few seconds. ClusterUnreachable where no cluster gives it."""
    if not (token or _is_loopback(address)):
        raise cluster.without_token(f"submit.address={address}")
    try:
        version = json.loads(_get(f"{address}/api/version", token))["ray_version"]
    except urllib.error.HTTPError as error:
        if error.code in {401, 403}:
            raise cluster.refused(address, token) from error
        raise ClusterUnreachable(
            f"what answers at submit.address={address} is no Ray dashboard (HTTP {error.code})"
        ) from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        hint = "; SSL_CERT_FILE names the certificates to trust" if isinstance(reason, ssl.SSLError) else ""
        raise ClusterUnreachable(
            f"no Ray cluster answers at submit.address={address} ({reason}){hint}: start one with `ray start --head`, "
            "open the tunnel to it, or correct the address"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterUnreachable(f"what answers at submit.address={address} is no Ray dashboard") from error
    logging.getLogger(__name__).info("Ray %s at %s", version, address)


def _get(url: str, token: str) -> bytes:
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if _is_loopback(url):
        handlers.append(urllib.request.ProxyHandler({}))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  (check_address leaves http and https)
    with urllib.request.build_opener(*handlers).open(request, timeout=_PROBE_SECONDS) as answer:
        content: bytes = answer.read(10_000)
    return content
