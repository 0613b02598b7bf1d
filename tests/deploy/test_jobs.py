"""The scripts of `jobs/`: what they would start, on a machine without Slurm and without Kubernetes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.waiting import PATIENCE, until

from lstm_search import config
from lstm_search.execute.jobs_api import SubmitSettings

CHECKOUT = Path(__file__).parents[2]
JOBS = CHECKOUT / "jobs"
SCRIPTS = ("ray_submit.sh", "slurm.sbatch")

NOTE = 'echo "${0##*/} $*" "$(stat -c %a "$RAY_AUTH_TOKEN_PATH" 2> /dev/null)" >> "$LOG"\n'
"""Every stand-in writes down its name, its words and the mode of the token's file."""

LASTS = f'trap "{{ending}}; kill \\$!; exit 143" TERM; {{note}}{shutil.which("sleep")} 1800 > /dev/null 2>&1 & wait $!'
"""Goes on until SIGTERM, as `srun` of a step and a driver do."""

STEPS = 'until [ "$(grep -c "^ray start" "$LOG")" -ge "${STEPS:-0}" ]; do true; done\n'
"""Steps start in the background: a driver that ends sooner than they have come up would end them unseen."""

BEFORE = 'options=(); while [ "$1" != bash ]; do options+=("$1"); shift; done\n'
STEP = (
    BEFORE + 'echo "srun ${options[*]}" >> "$LOG"; trap "echo srun ends >> $LOG; kill \\$!; wait" TERM; "$@" & wait $!'
)
"""What `srun` does for a step: the words after its options are run, and end with it."""

STARTS = f"""\
if [ "$1" = start ]; then
    folder=$(echo "$*" | grep -o '/tmp/lstm-[^ /]*')
    echo "$folder" >> "$LOG.folders"
    set -- "${{@//$folder/FOLDER}}" "$(stat -c %a "$folder")"
    {LASTS.format(ending="true", note=NOTE)}
fi
"""
"""The folder in which Ray writes is a new one each time: its mode is written down."""

DRIVES = LASTS.format(ending="true", note='echo "driver lasts" >> "$LOG"\n')

FAKES = {
    "srun": STEP,
    "ray": STARTS + NOTE + "[ -e $LOG.up ] || { touch $LOG.up; exit 1; }",
    "lstm-search": NOTE + STEPS + '[ "${SLOW:-}" ] || exit "${CODE:-0}"; ' + DRIVES,
    "hostname": "echo 10.0.0.1 10.1.0.1",
    "sleep": "exit 0",
}


@pytest.fixture
def path(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment in which the fakes are found first."""
    folder, home = tmp_path / "bin", tmp_path / "home of a user"
    folder.mkdir()
    home.mkdir()
    for name, body in FAKES.items():
        (folder / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (folder / name).chmod(0o755)
    slurm = {"SLURM_JOB_ID": "17", "SLURM_JOB_NUM_NODES": "3", "SLURM_CPUS_PER_TASK": "8", "SLURMD_NODENAME": "n1"}
    rest = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(home), "LOG": str(tmp_path / "log")}
    yield {**slurm, **rest}
    assert not list(home.iterdir()), "the token is still there"
    folders = tmp_path / "log.folders"
    made = folders.read_text().split() if folders.exists() else []
    assert not [name for name in made if Path(name).exists()]


def lines(environment: dict[str, str]) -> list[str]:
    log = Path(environment["LOG"])
    return [line.rstrip() for line in log.read_text().splitlines()] if log.exists() else []


def submitted(script: str, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(JOBS / script), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck: apt-get install shellcheck")
def test_shellcheck_finds_nothing() -> None:
    done = subprocess.run(
        ["shellcheck", *(JOBS / script for script in SCRIPTS)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


GOLDEN = """\
srun --overlap --nodes=1 --ntasks=1 --cpus-per-task=8 --nodelist=n1
srun --overlap --nodes=2 --ntasks=2 --cpus-per-task=8 --exclude=n1
ray start --block --temp-dir=FOLDER/r --num-cpus=8 --head --node-ip-address=10.0.0.1 --port=6379 \
--include-dashboard=false 700 600
ray start --block --temp-dir=FOLDER/r --num-cpus=8 --address=10.0.0.1:6379 700 600
lstm-search run table=9 training.rate=range(1,3) home=/a b execute=ray execute.address=10.0.0.1:6379 \
execute.workers=24 600
ray health-check --address 10.0.0.1:6379 600
"""


def test_slurm_starts_head_workers_and_driver_and_ends_them(path: dict[str, str]) -> None:
    done = submitted(
        "slurm.sbatch", path | {"CODE": "5", "STEPS": "2"}, "table=9", "training.rate=range(1,3)", "home=/a b"
    )
    assert done.returncode == 5, done.stderr
    seen = lines(path)
    assert sorted(set(seen) - {"srun ends"}) == sorted(GOLDEN.splitlines())
    assert seen.count("ray health-check --address 10.0.0.1:6379 600") == 2
    assert seen.count("srun ends") == 2
    driver = next(i for i, line in enumerate(seen) if line.startswith("lstm-search"))
    assert all(i < driver for i, line in enumerate(seen) if line.startswith("ray health-check"))


def test_slurm_on_one_node_has_no_workers(path: dict[str, str]) -> None:
    done = submitted(
        "slurm.sbatch", path | {"SLURM_JOB_NUM_NODES": "1", "STEPS": "1", "LSTM_SEARCH_HEAD": "10.1.0.1"}, "table=9"
    )
    assert done.returncode == 0, done.stderr
    starts = [line for line in lines(path) if line.startswith("ray start")]
    assert len(starts) == 1
    assert "--node-ip-address=10.1.0.1" in starts[0]


def test_slurm_passes_the_end_of_the_allocation_on(path: dict[str, str]) -> None:
    command = ["bash", str(JOBS / "slurm.sbatch"), "table=9"]
    with subprocess.Popen(command, env=path | {"SLOW": "1"}, start_new_session=True) as process:
        until(lambda: "driver lasts" in lines(path) and asleep(process.pid))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 143


def asleep(pid: int) -> bool:
    """Whether a process waits, as the script does once it knows its driver."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("S")


def test_slurm_gives_up_on_a_head_that_does_not_come(path: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bin" / "ray").write_text("#!/bin/sh\nexit 1\n")
    done = submitted("slurm.sbatch", path, "table=9")
    assert done.returncode == 8
    assert "no Ray head at 10.0.0.1:6379" in done.stderr
    assert not any(line.startswith("lstm-search") for line in lines(path))


def test_what_slurm_is_asked_for() -> None:
    asked = re.findall(r"^#SBATCH --([a-z-]+)=(.+)$", (JOBS / "slurm.sbatch").read_text(), re.MULTILINE)
    assert dict(asked) == {
        "job-name": "lstm-search",
        "nodes": "2",
        "ntasks-per-node": "1",
        "cpus-per-task": "8",
        "time": "04:00:00",
        "signal": "B:TERM@120",
    }


def test_ray_submit(path: dict[str, str], tmp_path: Path) -> None:
    done = submitted("ray_submit.sh", path, "table=9")
    assert done.returncode == 1
    assert "name the file with the token" in done.stderr
    token = tmp_path / "token"
    token.write_text("hush")
    token.chmod(0o600)
    assert (
        submitted("ray_submit.sh", path | {"RAY_AUTH_TOKEN_PATH": str(token), "CODE": "6"}, "table=9").returncode == 6
    )
    assert lines(path) == [f"lstm-search submit submit.address={SubmitSettings().address} table=9 600"]


@pytest.fixture
def kuberay() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((JOBS / "kuberay.yaml").read_text()))


def templates(job: dict[str, Any]) -> list[dict[str, Any]]:
    """The pods that a RayJob is made of."""
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [*(group["template"] for group in groups), job["spec"]["submitterPodTemplate"]]


def test_the_manifest_is_what_it_says(kuberay: list[dict[str, Any]]) -> None:
    claim, _, job = kuberay
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    program, verb, *words = job["spec"]["entrypoint"].split()
    assert (program, verb) == ("lstm-search", "run")
    assert config.compose(words).execute.kind == "ray"
    for spec in (template["spec"] for template in templates(job)):
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        for container in spec["containers"]:
            guarded = container["securityContext"]
            assert guarded == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"].keys() == {"cpu", "memory"}
            mounts = {mount["name"] for mount in container["volumeMounts"]}
            assert mounts == {volume["name"] for volume in spec["volumes"]}
    head, _, submitter = templates(job)
    assert submitter["spec"]["restartPolicy"] == "Never"
    volumes = head["spec"]["volumes"]
    names = [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume]
    assert names == [claim["metadata"]["name"]]
    assert "privileged" not in json.dumps(kuberay)


def test_pods_of_a_study_reach_each_other_and_names_only(kuberay: list[dict[str, Any]]) -> None:
    _, policy, job = kuberay
    assert (policy["apiVersion"], policy["kind"]) == ("networking.k8s.io/v1", "NetworkPolicy")
    given = policy["spec"]
    assert given["policyTypes"] == ["Ingress", "Egress"]
    mine = given["podSelector"]["matchLabels"]
    assert all(mine.items() <= template["metadata"]["labels"].items() for template in templates(job))
    among, operator = given["ingress"]
    assert among == {"from": [{"podSelector": {"matchLabels": mine}}]}
    assert operator["ports"] == [{"protocol": "TCP", "port": 8265}]
    assert operator["from"][0]["podSelector"]["matchLabels"] == {"app.kubernetes.io/component": "kuberay-operator"}
    others, names = given["egress"]
    assert others == {"to": [{"podSelector": {"matchLabels": mine}}]}
    assert {entry["port"] for entry in names["ports"]} == {53}
