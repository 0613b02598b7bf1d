"""The verb `submit`: a study as a job of a Ray cluster. The same command attaches to the job while it runs.

With source=cluster a verb that only shows runs where the record is, and its output is printed here (`ask`).
"""

from __future__ import annotations

import re
import sys
from dataclasses import asdict

from lstm_search.cli.shell import INTERRUPTED, TERMINATED, Exit, chosen, say
from lstm_search.config import ConfigError, Settings
from lstm_search.execute import Job, Jobs, connect
from lstm_search.spec import digest
from lstm_search.tracking import without_password


def submit(settings: Settings) -> int:
    """Start the study on a cluster, or attach to it, or stop it; the exit code of the remote run.

    Raises ConfigError for what cannot or must not be sent, UnknownJob, ClusterUnreachable.
    """
    _check(settings)
    with connect(settings.submit.address) as jobs:
        if settings.submit.stop:
            return _stop(settings, jobs, _existing(settings, jobs))
        job = _attached(settings, jobs)
        if not settings.submit.wait:
            print(job.name)
            return Exit.DONE
        try:
            return _code(jobs.follow(job.name, _show))
        except KeyboardInterrupt:
            again = f"lstm-search submit submit.address={settings.submit.address} submit.job={job.name}"
            say(f"detached; the study goes on. {again} attaches again, with submit.stop=true it stops")
            return INTERRUPTED


def ask(settings: Settings, verb: str) -> int:
    """Let the head at submit.address run the verb and print what it prints; its exit code. ClusterUnreachable where it
    does not answer."""
    overrides = [word for word in settings.overrides if not word.startswith(("submit.", "source="))]
    with connect(settings.submit.address) as jobs:
        job, text = jobs.ask(verb, overrides)
    for line in _safe(text).splitlines(keepends=True):
        (sys.stderr if line.startswith("lstm-search: ") else sys.stdout).write(line)
    return _code(job)


def _check(settings: Settings) -> None:
    """Raises ConfigError for what cannot or must not be sent."""
    if settings.submit.job is not None:
        if settings.definition.name:
            raise ConfigError(f"submit.job={settings.submit.job}: names the study already; give one of the two")
        return
    chosen(settings, "submit")
    where = settings.execute
    if where.kind == "inline" or where.address not in (None, "auto"):
        raise ConfigError(f"execute={where.kind}: submit trains on the cluster at submit.address; leave it out")
    uri = settings.tracking.uri or ""
    if re.search(r"://[^/]*:[^/]*@|(?i:[?&][^=]*(pass|token|secret|key)[^=]*=)", uri):
        raise ConfigError(
            f"tracking.uri={without_password(uri).partition('?')[0]}: a password would be readable by all who see the "
            "cluster's jobs; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD where the head is started"
        )


def stem(settings: Settings) -> str:
    """The beginning of the ids of a study's jobs: its name, and a digest of what it is and where it is kept."""
    asked = settings.definition
    ahead = settings.rows_ahead()
    rows = [[row.name, row.cell.digest, row.replicates, row.cap] for row in ahead]
    how = [asdict(settings.search)] if any(row.purpose != "report" for row in ahead) else []
    return f"{asked.name}-{digest([asked.name, asked.seed, rows, str(settings.home), *how])[:12]}"


def _existing(settings: Settings, jobs: Jobs) -> Job:
    """The job that the settings name. UnknownJob, or ConfigError where the study has none."""
    if settings.submit.job is not None:
        return jobs.find(settings.submit.job)
    job = jobs.latest(stem(settings))
    if job is None:
        raise ConfigError(
            f"study={settings.definition.name}: was not submitted to {jobs.address} with these settings; "
            "submit.job=ID stops a job by its id"
        )
    return job


def _attached(settings: Settings, jobs: Jobs) -> Job:
    """The job to follow: the one that is named or runs already, or else a new one."""
    if settings.submit.job is not None:
        return jobs.find(settings.submit.job)
    job = jobs.latest(stem(settings))
    if job is not None and not job.ended:
        say(f"job {job.name} runs already; attached to it")
        return job
    overrides = [word for word in settings.overrides if not word.startswith("submit.")]
    job = jobs.submit(stem(settings), overrides, {"study": settings.definition.name})
    say(f"submitted as job {job.name}")
    return job


def _stop(settings: Settings, jobs: Jobs, job: Job) -> int:
    if job.ended:
        say(f"job {job.name} does not run: {job.status}")
        return Exit.DONE
    jobs.stop(job.name)
    if settings.submit.wait:
        job = jobs.follow(job.name, lambda _: None)
    say(f"job {job.name}: {job.status if job.ended else 'asked to stop'}; finished trials are recorded")
    return Exit.DONE


def _show(text: str) -> None:
    sys.stderr.write(_safe(text))
    sys.stderr.flush()


def _safe(text: str) -> str:
    """The text without characters that control a terminal."""
    return re.sub(r"[^\x20-\x7e\n\t\xa0-\U0010ffff]", "", text)


def _code(job: Job) -> int:
    """The exit code of a job that has ended; a line on stderr says more where the code says little."""
    if job.status == "STOPPED":
        say(f"job {job.name} was stopped; finished trials are recorded, the same command trains the rest")
        return TERMINATED
    if job.code is None:
        if job.status != "SUCCEEDED":
            say(f"job {job.name} {job.status}: {job.message[:300]}")
        return Exit.DONE if job.status == "SUCCEEDED" else Exit.UNEXPECTED
    if job.code == 127 or "No module named" in job.message:
        say("the head's `python` has no lstm_search: install this release there, its environment first on PATH")
    return job.code if job.code >= 0 else 128 - job.code
