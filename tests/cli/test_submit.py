from __future__ import annotations

import json
import os
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.tls import certificate, spoken
from helpers.waiting import PATIENCE

from lstm_search import config
from lstm_search.cli import dispatch as cli
from lstm_search.cli import job, submit
from lstm_search.execute import cluster, jobs_api
from lstm_search.execute.cluster import ClusterUnreachable
from lstm_search.execute.jobs_api import ENTRYPOINT, VARIABLE, Jobs, SubmitSettings, UnknownJob, packed, unpacked

TOKEN = "a" * 64
STUDY = ["task=adding", "replicates=3", "study=lags"]


class Dashboard(BaseHTTPRequestHandler):
    """The one page of a dashboard that is asked for by hand."""

    body = b'{"ray_version": "2.60.0"}'
    status = 200

    def do_GET(self) -> None:
        given = self.headers.get("Authorization")
        code = self.status if given == f"Bearer {TOKEN}" else 403 if given else 401
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "http://192.0.2.1/")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


class FakeClient:
    """Ray's client, with jobs that end when their log has been read."""

    def __init__(self) -> None:
        self.jobs: dict[str, SimpleNamespace] = {}
        self.ending: dict[str, Any] = {"status": "SUCCEEDED", "driver_exit_code": 0, "message": ""}
        self.chunks = ["starting workers\n", "| row |\n"]
        self.cut_after: int | None = None
        self.interrupt = False
        self.sent: dict[str, Any] = {}

    def submit_job(self, **what: Any) -> str:
        self.sent = what
        self.add(what["submission_id"])
        return str(what["submission_id"])

    def add(self, name: str, status: str = "RUNNING") -> None:
        if name in self.jobs:
            raise RuntimeError(f"Request failed with status code 500: job {name} already exists")
        self.jobs[name] = SimpleNamespace(
            submission_id=name, status=status, driver_exit_code=None, message="", start_time=len(self.jobs)
        )

    def list_jobs(self) -> list[SimpleNamespace]:
        return [*self.jobs.values(), SimpleNamespace(submission_id=None, start_time=None)]

    def stop_job(self, name: str) -> bool:
        self.jobs[name].status = "STOPPED"
        return True

    def delete_job(self, name: str) -> bool:
        assert self.jobs[name].status in {"SUCCEEDED", "FAILED"}
        return self.jobs.pop(name) is not None

    async def tail_job_logs(self, name: str) -> AsyncIterator[str]:
        if self.interrupt:
            raise KeyboardInterrupt
        for number, text in enumerate([chunk.format(name) for chunk in self.chunks]):
            if self.cut_after == number:
                self.cut_after = None
                raise RuntimeError("WebSocket connection closed unexpectedly")
            yield text
        if self.jobs[name].status == "RUNNING":
            vars(self.jobs[name]).update(self.ending)


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    return path


@pytest.fixture
def dashboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(jobs_api, "_PROBE_SECONDS", PATIENCE)  # it is there, but the machine may be busy
    monkeypatch.setattr(Dashboard, "status", 200)
    with HTTPServer(("127.0.0.1", 0), Dashboard) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, dashboard: str) -> FakeClient:
    del dashboard
    fake = FakeClient()
    monkeypatch.setattr(jobs_api, "_client", lambda *_: fake)
    return fake


@pytest.fixture
def served(dashboard: str, client: FakeClient) -> tuple[str, FakeClient]:
    return dashboard, client


def run(dashboard: str, *words: str) -> int:
    return cli.main(["submit", f"submit.address={dashboard}", *words])


def test_words_travel_in_letters_that_nothing_expands() -> None:
    words = ["study=a b", "home=$HOME/'x' \"y\"", "training.rate=choice(0.1,0.5)", "é=`id`", ""]
    assert set(packed(words)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert unpacked(packed(words)) == words
    for text in ("", "%%", packed(words)[:-3], "bnVsbA", "WzFd"):  # ..., null, [1]
        with pytest.raises(ValueError, match=VARIABLE):
            unpacked(text)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8265", "http://localhost:1/", "http://[::1]:8265", "https://lab"]
)
def test_addresses_that_keep_the_token_secret(address: str) -> None:
    assert SubmitSettings(address).address == address


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://10.0.0.5:8265", "plain http.*https.*ssh -N -L"),
        ("http://127.0.0.1.evil.org:8265", "plain http"),
        ("http://127.0.0.1:99999", "a port is 1 to 65535"),
        ("http://localhost@10.0.0.5", r"://\*\*\*@10.0.0.5: takes"),
        ("https://user:hush@lab", r"submit.address=https://\*\*\*@lab: takes"),
        ("https://lab/path?x=1", "without user, path or query"),
        ("ray://10.0.0.5:10001", "takes the address of the head's dashboard"),
        ("auto", "takes the address"),
        ("https://", "takes the address"),
    ],
)
def test_other_addresses_are_refused_before_anything_is_asked(
    address: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=message):
        jobs_api.check_address(address)
    assert cli.main(["submit", f"submit.address={address}", *STUDY]) == 2
    assert "hush" not in capsys.readouterr().err


def test_a_study_is_submitted_once_and_followed(
    dashboard: str, client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    name = submit.stem(config.compose(STUDY)) + "-1"
    assert run(dashboard, *STUDY[:2], "training.rate=0.1,0.5", "study=rates", "format=csv") == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "submitted as job rates-" in captured.err
    assert captured.err.endswith("starting workers\n| row |\n")
    assert client.sent["entrypoint"] == ENTRYPOINT
    assert client.sent["metadata"] == {"study": "rates"}
    variables = client.sent["runtime_env"]["env_vars"]
    assert unpacked(variables[VARIABLE]) == [*STUDY[:2], "training.rate=0.1,0.5", "study=rates", "format=csv"]
    assert TOKEN not in json.dumps(client.sent)
    assert run(dashboard, *STUDY, "submit.wait=false") == 0
    assert capsys.readouterr().out == f"{name}\n"


def test_the_same_study_attaches_while_it_runs_and_goes_on_when_it_has_ended(
    dashboard: str, client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    stem = submit.stem(config.compose(STUDY))
    for _ in range(2):
        assert run(dashboard, *STUDY[::-1], "submit.wait=false", "execute.workers=3") == 0
    assert list(client.jobs) == [f"{stem}-1"]
    assert "runs already; attached" in capsys.readouterr().err
    client.jobs[f"{stem}-1"].status = "FAILED"
    assert run(dashboard, *STUDY, "submit.wait=false") == 0
    assert list(client.jobs) == [f"{stem}-1", f"{stem}-2"]
    other = submit.stem(config.compose([*STUDY, "training.rate=0.3"]))
    assert len({stem, other, submit.stem(config.compose([*STUDY, "home=elsewhere"]))}) == 3


def test_of_two_that_submit_at_once_the_second_attaches(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Jobs(client, "http://127.0.0.1:1")
    client.add("lags-1")
    monkeypatch.setattr(Jobs, "latest", lambda *_: None)
    assert jobs.submit("lags", [], {}).status == "RUNNING"


@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        ({"status": "FAILED", "driver_exit_code": 6}, 6, ""),
        ({"status": "FAILED", "driver_exit_code": -9}, 137, ""),
        ({"status": "FAILED", "driver_exit_code": 127}, 127, "first on PATH"),
        ({"status": "FAILED", "message": "the head died"}, 1, "FAILED: the head died"),
        ({"status": "STOPPED"}, 143, "was stopped"),
        ({"status": "SUCCEEDED"}, 0, ""),
    ],
)
def test_the_exit_code_is_that_of_the_remote_run(
    ending: dict[str, Any], code: int, said: str, served: tuple[str, FakeClient], capsys: pytest.CaptureFixture[str]
) -> None:
    dashboard, client = served
    client.ending = {"driver_exit_code": None, "message": "", **ending}
    assert run(dashboard, *STUDY) == code
    assert said in capsys.readouterr().err


def test_a_cut_connection_loses_and_repeats_nothing_of_the_log(client: FakeClient) -> None:
    client.add("lags-1")
    client.cut_after = 1
    seen: list[str] = []
    assert Jobs(client, "").follow("lags-1", seen.append, pause=0).status == "SUCCEEDED"
    assert "".join(seen) == "starting workers\n| row |\n"


def test_ctrl_c_detaches(dashboard: str, client: FakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.interrupt = True
    assert run(dashboard, *STUDY) == 130
    said = capsys.readouterr().err
    name = next(iter(client.jobs))
    assert f"the study goes on. lstm-search submit submit.address={dashboard} submit.job={name} attaches again" in said
    assert client.jobs[name].status == "RUNNING"
    client.interrupt = False
    assert run(dashboard, f"submit.job={name}") == 0


def test_a_study_is_stopped_by_its_command_or_by_its_id(
    dashboard: str, client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    for last in (STUDY, None):
        assert run(dashboard, *STUDY, "submit.wait=false") == 0
        name = list(client.jobs)[-1]
        assert run(dashboard, *(last or [f"submit.job={name}"]), "submit.stop=true") == 0
        assert client.jobs[name].status == "STOPPED"
        assert "finished trials are recorded" in capsys.readouterr().err
    assert run(dashboard, *STUDY, "submit.stop=true") == 0
    assert "does not run: STOPPED" in capsys.readouterr().err


MISTAKES = {
    "unknown job": ("submit.job=nope-1", ["submit.job=nope-1", "the last ones there: old-1"]),
    "never submitted": ("task=adding study=new submit.stop=true", ["study=new", "was not submitted"]),
    "nothing chosen": ("", ["submit:", "table=9", "task=adding"]),
    "both": ("task=adding submit.job=old-1", ["submit.job=old-1", "one of the two"]),
    "bad job": ("submit.job=../x", ["submit.job=../x", "takes the id"]),
    "inline": ("task=adding execute=inline", ["execute=inline", "leave it out"]),
    "another cluster": ("task=adding execute=ray execute.address=10.0.0.1:6379", ["execute=ray", "leave it out"]),
    "a password": ("task=adding tracking.uri=http://me:hush@lab:5000", ["tracking.uri=http://me:***@lab", "password"]),
    "a hidden one": ("task=adding tracking.uri=https://lab/?password=hush", ["tracking.uri=https://lab/:", "password"]),
    "no switch": ("task=adding submit.wait=maybe", ["submit.wait=maybe", "true or false"]),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_bad_input(case: str, dashboard: str, client: FakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.add("old-1", "SUCCEEDED")
    words, parts = MISTAKES[case]
    assert run(dashboard, *words.split()) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in parts), said
    assert "hush" not in said
    assert list(client.jobs) == ["old-1"]


def test_no_cluster_at_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("http://127.0.0.1:1", *STUDY) == 8
    assert "no Ray cluster answers at submit.address=http://127.0.0.1:1" in capsys.readouterr().err


def test_an_address_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_api, "_PROBE_SECONDS", 0.2)
    with HTTPServer(("127.0.0.1", 0), Dashboard) as server, pytest.raises(ClusterUnreachable, match="timed out"):
        jobs_api._probe(f"http://127.0.0.1:{server.server_port}", TOKEN)


def test_tokens(dashboard: str, token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token.write_text("wrong")
    with pytest.raises(ClusterUnreachable, match="refused the token of this machine: RAY_AUTH_TOKEN_PATH"):
        jobs_api._probe(dashboard, cluster.token())
    token.unlink()
    with pytest.raises(ClusterUnreachable, match="asks for a token and this machine has none"):
        jobs_api._probe(dashboard, cluster.token())
    with pytest.raises(ClusterUnreachable, match="only with a token"):
        jobs_api._probe("https://lab", cluster.token())
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    jobs_api._probe(dashboard, cluster.token())
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert cluster.token() == ""


@pytest.mark.parametrize(("status", "body"), [(302, b""), (404, b""), (200, b"hello"), (200, b"[]")])
def test_what_is_no_dashboard(status: int, body: bytes, dashboard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirection is not followed: the token would go with it."""
    monkeypatch.setattr(Dashboard, "status", status)
    monkeypatch.setattr(Dashboard, "body", body)
    with pytest.raises(ClusterUnreachable, match="is no Ray dashboard"):
        jobs_api._probe(dashboard, TOKEN)


def test_nothing_else_decides_where_the_client_goes(dashboard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setenv("RAY_ADDRESS", "http://10.0.0.5:8265")
    monkeypatch.setenv("NO_PROXY", "lab")
    monkeypatch.setattr(jobs_api, "_client", lambda *given: seen.update(os.environ, given=given))
    with jobs_api.connect(dashboard + "/"):
        pass
    assert seen["given"] == (dashboard, TOKEN)
    assert "RAY_ADDRESS" not in seen
    assert seen["NO_PROXY"].startswith("lab,127.0.0.1,")
    assert (os.environ["RAY_ADDRESS"], os.environ["NO_PROXY"]) == ("http://10.0.0.5:8265", "lab")


def test_a_head_that_goes_away(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Jobs(client, "http://127.0.0.1:1")
    client.add("lags-1")
    assert jobs.find("lags-1").ended is False
    with pytest.raises(UnknownJob):
        jobs.find("lags")

    def refuse() -> None:
        raise ConnectionError("refused\nat great length")

    monkeypatch.setattr(client, "list_jobs", refuse)
    with pytest.raises(ClusterUnreachable, match=r"did not do what was asked: refused$"):
        jobs.follow("lags-1", print, pause=0)


def test_the_job_runs_the_words_on_its_own_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr(cli, "main", lambda words: given.append(words) or 6)
    monkeypatch.setenv(VARIABLE, packed(["table=9", "execute=local"]))
    assert job.main() == 6
    assert given == [["run", "table=9", "execute=ray", "execute.address=auto"]]
    assert VARIABLE not in os.environ
    assert job.main() == 2
    monkeypatch.setenv(VARIABLE, packed(["home=/studies"]))
    assert job.main("status") == 6
    assert given[1:] == [["status", "home=/studies"]]


def test_a_cluster_is_asked_how_far_its_studies_are(
    dashboard: str, client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = f"Running entrypoint for job {{}}: {ENTRYPOINT} status\n"
    client.chunks = [
        "INFO setting up\n",
        mark,
        "| study | row |\n",
        "lstm-search: no study yet\n",
        "| lags | adding |\x1b[2J\n",
    ]
    words = ["status", "source=cluster", f"submit.address={dashboard}", "home=/studies", "study=lags"]
    assert cli.main(words) == 0
    captured = capsys.readouterr()
    assert captured.out == "| study | row |\n| lags | adding |[2J\n"
    assert captured.err == "lstm-search: no study yet\n"
    assert client.sent["entrypoint"] == f"{ENTRYPOINT} status"
    assert unpacked(client.sent["runtime_env"]["env_vars"][VARIABLE]) == words[3:]
    assert not client.jobs
    client.ending["driver_exit_code"] = 2
    assert cli.main(["table", *words[1:]]) == 2


@pytest.mark.parametrize("verb", ["run", "plan", "sync", "delete", "plot", "doctor", "submit"])
def test_a_cluster_is_asked_for_nothing_else(verb: str, dashboard: str, client: FakeClient) -> None:
    assert cli.main([verb, "source=cluster", f"submit.address={dashboard}", *STUDY]) == 2
    assert not client.jobs


def test_a_certificate_is_verified(dashboard: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem, port = certificate(tmp_path), int(dashboard.rpartition(":")[2])
    with spoken(port, pem) as behind:
        with pytest.raises(ClusterUnreachable, match=r"CERTIFICATE_VERIFY_FAILED.*SSL_CERT_FILE names the"):
            jobs_api._probe(f"https://localhost:{behind}", TOKEN)
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        jobs_api._probe(f"https://localhost:{behind}", TOKEN)
        with pytest.raises(ClusterUnreachable, match=r"not valid for '127\.0\.0\.1'"):
            jobs_api._probe(f"https://127.0.0.1:{behind}", TOKEN)
