"""What bad input gets: exit 2, one line that names the key and the nearest valid one, nothing started or written."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.refused import attempt

pytestmark = pytest.mark.usefixtures("no_study")

# the words after `lstm-search`, and what the message must say
MISTAKES = {
    "unknown verb": ("rnu table=9", ["rnu", "nearest: run"]),
    "nothing chosen": ("plan", ["plan:", "table=9", "task=adding"]),
    "key without study": ("run training.rate=0.1", ["training.rate", "table=", "task="]),
    "unknown key": ("run table=9 training.rat=0.1", ["training.rat:", "nearest: training.rate"]),
    "section left out": ("run table=9 blocks=3", ["blocks:", "nearest: network.blocks"]),
    "unknown section": ("run table=9 trainig.rate=1", ["trainig.rate", "training.rate"]),
    "a key given twice": ("run table=9 seed=1 rows=6a seed=2", ["seed=1 seed=2: gives seed 2 times; give it once"]),
    "unknown plain key": ("run table=9 replicate=3", ["replicate:", "nearest: replicates"]),
    "key of another task": ("run task=adding task.marks=2", ["task.marks", "task=temporal_order_6a"]),
    "key of another executor": ("run table=9 execute.address=auto", ["execute.address", "execute=ray"]),
    "unknown table": ("run table=10", ["table=10", "valid: 1, 2, 2b, 3"]),
    "unknown table name": ("run table=table_9", ["table=table_9", "valid: 1, 2, 2b, 3"]),
    "unknown row": ("run table=9 rows=6c", ["rows=6c", "valid: 6a, 6b"]),
    "rows without brackets": ("run table=9 rows=6a,6b", ["rows=6a,6b", "rows=[6a,6b]"]),
    "no rows": ("run table=9 rows=[]", ["rows=[]", "at least one"]),
    "rows of a task": ("run task=adding rows=6a", ["rows=6a", "task=adding"]),
    "unknown task": ("run task=ading", ["task=ading", "nearest: adding"]),
    "unknown network": ("run table=9 network=lstm97", ["network=lstm97", "nearest: lstm1997"]),
    "network of a table": ("run table=9 network=elman", ["table=9 network=elman", "rows of lstm1997", "adding"]),
    "forget gates that are not there": (
        "run task=adding network=lstm2000 network.forget=coupled network.forget_gate_bias=[1,1]",
        ["network.forget_gate_bias=[1.0, 1.0]", "takes [] where network.forget=coupled"],
    ),
    "key of another network": ("run task=adding network=rtrl network.blocks=3", ["network.blocks", "network=lstm1997"]),
    "key the default lacks": ("run task=adding network.wiring=full", ["network.wiring", "network=bptt"]),
    "wiring of another network": ("run task=adding network=elman network.wiring=full", ["layered, direct"]),
    "update of another network": (
        "run task=adding network=bptt training.update=step",
        ["training.update=step", "network bptt takes sequence"],
    ),
    "a net too large for its task": (
        "run task=long_lag_2a task.p=200 network=rtrl network.wiring=full",
        ["network.wiring=full", "204 recurrent units", "layered or direct", "network=bptt"],
    ),
    "coding of real targets": (
        "run task=adding training.targets=[0.1,0.9]",
        ["training.targets=[0.1,0.9]", "targets of task adding are no classes", "takes [0,1]"],
    ),
    "coding beyond outputs": (
        "run table=9 training.targets=[-1,1]",
        ["training.targets=[-1,1]", "outputs of network lstm1997 are logistic", "from 0 to 1"],
    ),
    "optimizer at every step": (
        "run task=adding training.optimizer=adam training.update=step",
        ["training.optimizer=adam training.update=step", "takes training.update=sequence"],
    ),
    "optimizer of a net without one": (
        "run task=long_lag_2a network=chunker training.optimizer=momentum",
        ["training.optimizer=momentum", "network chunker takes descent"],
    ),
    "momentum of plain descent": (
        "run table=9 training.momentum=0.5",
        ["training.momentum=0.5", "take training.optimizer=momentum or adam"],
    ),
    "coding with one value": ("run table=9 training.targets=[0.5,0.5]", ["training.targets=[0.5,0.5]", "greater"]),
    "coding that falls": ("run table=9 training.targets=[0.9,0.1]", ["training.targets=[0.9,0.1]", "greater"]),
    "coding of three": ("run table=9 training.targets=[0,0.5,1]", ["training.targets=[0,0.5,1]", "two numbers"]),
    "negative margin": ("run table=9 training.margin=-0.1", ["training.margin=-0.1", "from 0 and below 1"]),
    "margin of one": ("run table=9 training.margin=1", ["training.margin=1", "from 0 and below 1"]),
    "margin of guesses": (
        "run task=two_sequence_3a network=guessing training.margin=0.1",
        ["training.margin=0.1", "guessing learns by no error signals", "takes 0"],
    ),
    "slope of linear outputs": (
        "run task=adding network.output=linear training.slope=false",
        ["training.slope=false", "lstm1997 has linear outputs", "takes true"],
    ),
    "slope of recurrent outputs": (
        "run task=long_lag_2a network=rtrl training.slope_added=0.1",
        ["training.slope_added=0.1", "network.wiring=full", "takes 0"],
    ),
    "hidden units that join in": (
        "run task=long_lag_2a network.growth=plateau network.hidden=2",
        ["network.hidden=2 network.growth=plateau", "network.hidden=0", "network.growth=none"],
    ),
    "direct weights of another network": (
        "run task=adding network=rtrl network.direct=true",
        ["network.direct", "network=lstm1997"],
    ),
    "next symbols at the end": (
        "run task=long_lag_2a network=chunker task.at_end=true",
        ["task.at_end=true", "network chunker", "takes false"],
    ),
    "guessing without checks": ("run task=adding network=guessing", ["stop.check_every=null", "stop.check_every=1"]),
    "no history": ("run task=adding network=bptt network.history=0", ["network.history=0", "from 1 to 100000"]),
    "no hidden units": ("run task=adding network=rtrl network.hidden=-1", ["network.hidden=-1", "from 1 to 64"]),
    "empty pool": ("run task=adding network=cascade network.pool=0", ["network.pool=0", "from 1 to 64"]),
    "negative pool": ("run task=adding network=cascade network.pool=-8", ["network.pool=-8", "from 1 to 64"]),
    "change of one": (
        "run task=adding network=cascade network.pool_change=1",
        ["network.pool_change=1", "above 0 and below 1"],
    ),
    "never surprised": (
        "run task=long_lag_2a network=chunker network.surprise=1",
        ["network.surprise=1", "above 0 and below 1"],
    ),
    "always surprised": (
        "run task=long_lag_2a network=chunker network.surprise=0.2,-0.1",
        ["network.surprise=-0.1", "above 0 and below 1"],
    ),
    "task of another network": (
        "run task=adding network=chunker",
        ["network=chunker", "task adding", "embedded_reber or long_lag"],
    ),
    "no next symbol": ("run task=very_long_lag_2c network=chunker", ["task very_long_lag", "embedded_reber or"]),
    "unknown search": ("run table=9 search=gird", ["search=gird", "nearest: grid"]),
    "unknown executor": ("run table=9 execute=loacl", ["execute=loacl", "nearest: local"]),
    "unknown tracking": ("run table=9 tracking=mlfow", ["tracking=mlfow", "nearest: mlflow"]),
    "table and task": ("run table=9 task=adding", ["table=9 task=adding", "one of the two"]),
    "two groups at once": ("run task=adding,temporal_order_6a", ["task=adding,temporal_order_6a", "valid:"]),
    "no value sign": ("run table=9 verbose", ["verbose", "key=value", "verbose"]),
    "an option": ("run --table 9", ["--table", "key=value", "table"]),
    "text for a number": ("run table=9 training.rate=fast", ["training.rate=fast", "a number"]),
    "number for a choice": ("run table=9 network.output=1", ["network.output=1", "logistic, linear"]),
    "mistyped choice": ("run table=9 network.recurrent=cell", ["network.recurrent=cell", "all, cells, none"]),
    "fraction for a count": ("run table=9 network.blocks=2.5", ["network.blocks=2.5", "whole number"]),
    "number for a switch": ("run table=9 network.output_bias=1", ["network.output_bias=1", "true or false"]),
    "number for a list": ("run table=9 network.input_gate_bias=-2", ["network.input_gate_bias=-2", "list"]),
    "list for a number": ("run table=9 training.rate=[0.1]", ["training.rate=[0.1]", "a number"]),
    "null for a number": ("run table=9 training.rate=null", ["training.rate=null", "a number"]),
    "rate zero": ("run table=9 training.rate=0", ["training.rate=0", "above 0"]),
    "rate negative": ("run table=9 training.rate=-0.1", ["training.rate=-0.1", "above 0"]),
    "rate nan": ("run table=9 training.rate=nan", ["training.rate=nan", "finite"]),
    "rate infinite": ("run table=9 training.rate=inf", ["training.rate=inf", "finite"]),
    "decimal comma": ("run table=9 training.rate=0,5", ["training.rate=0", "above 0"]),
    "empty value": ("run table=9 training.rate=", ["training.rate=''", "a number"]),
    "empty choice": ("run table=9 training.rate=choice()", ["training.rate=choice()", "empty"]),
    "empty range": ("run table=9 training.rate=range(2,1)", ["training.rate=range(2,1)", "empty"]),
    "endless range": ("run table=9 training.rate=range(1,inf)", ["training.rate=range(1,inf)", "finite"]),
    "standing range": ("run table=9 training.rate=range(1,2,0)", ["training.rate=range(1,2,0)", "step"]),
    "one value twice": ("run table=9 training.rate=1,1.0", ["training.rate", "1 is given twice"]),
    "trailing comma": ("run table=9 training.rate=0.1,", ["training.rate=0.1,", "cannot be read"]),
    "interval": ("run table=9 training.rate=interval(0.1,1)", ["training.rate", "search=grid needs a finite list"]),
    "tagged": ("run table=9 training.rate=tag(log,interval(0.1,1))", ["training.rate", "finite list"]),
    "shuffled": ("run table=9 training.rate=shuffle(1,2)", ["training.rate=shuffle(1,2)", "order"]),
    "glob": ("run table=9 training.rate=glob(*)", ["training.rate=glob(*)", "plain value"]),
    "axis of a plain key": ("run table=9 seed=1,2", ["seed=1,2", "one value"]),
    "list without brackets": ("run table=9 retry=lost,oom", ["retry=lost,oom", "retry=[lost,oom]"]),
    "zero replicates": ("run table=9 replicates=0", ["replicates=0", "from 1"]),
    "negative replicates": ("run table=9 replicates=-1", ["replicates=-1", "from 1"]),
    "negative seed": ("run table=9 seed=-1", ["seed=-1", "from 0"]),
    "large seed": ("run table=9 seed=9223372036854775808", ["seed=9223372036854775808", "9223372036854775807"]),
    "fraction of a seed": ("run table=9 seed=1.5", ["seed=1.5", "whole number"]),
    "zero cap": ("run table=9 cap=0", ["cap=0", "from 1"]),
    "zero budget": ("run table=9 budget.hours=0", ["budget.hours=0", "above 0"]),
    "budget as key": ("run table=9 budget=1", ["budget:", "budget.hours"]),
    "too many may fail": ("run table=9 max_failed=10", ["max_failed=10", "up to 1"]),
    "unknown outcome": ("run table=9 retry=[capped]", ["retry=capped", "lost, oom, timeout, failed"]),
    "unknown format": ("run table=9 format=xml", ["format=xml", "markdown, csv, json"]),
    "empty home": ("run table=9 home=", ["home=", "home=studies"]),
    "short adding": ("run task=adding task.T=5", ["task.T=5", "to 100000"]),
    "three marks only": ("run task=temporal_order_6a task.marks=4", ["task.marks=4", "2 marks"]),
    "no blocks": ("run table=9 network.blocks=0", ["network.blocks=0", "1 to 64"]),
    "huge net": ("run table=9 network.blocks=1000000000", ["network.blocks=1000000000", "1 to 64"]),
    "bias for each block": ("run table=9 network.input_gate_bias=[-1]", ["network.input_gate_bias", "number a block"]),
    "infinite bias": ("run table=9 network.input_gate_bias=[-1,inf]", ["network.input_gate_bias=inf", "finite"]),
    "no window": ("run table=9 stop.window=0", ["stop.window=0", "from 1"]),
    "all wrong": ("run table=9 stop.max_wrong=2000", ["stop.max_wrong=2000", "0 to 1999"]),
    "too many lanes": ("run table=9 execute.width=65", ["execute.width=65", "1 to 64"]),
    "MLflow's own name": ("run table=9 study=Default", ["study=Default", "reserved"]),
    "zero tolerance": ("run table=9 stop.tolerance=0", ["stop.tolerance=0", "above 0"]),
    "no tests": ("run table=9 stop.test_sequences=-1", ["stop.test_sequences=-1", "from 0"]),
    "zero workers": ("run table=9 execute.workers=0", ["execute.workers=0", "1 to 10000"]),
    "address of nothing": ("run table=9 execute=ray execute.address=x", ["execute.address=x", "host:port"]),
    "store in memory": ("run table=9 tracking.uri=sqlite://", ["tracking.uri=sqlite://", "in memory is lost"]),
    "store of no known kind": ("run table=9 tracking.uri=mysql+evil://x/y", ["mysql+evil://x/y: takes", "mysql+pym"]),
    "store in another's file": ("run table=9 tracking.uri=sqlite:////etc/passwd", ["/etc/passwd is no SQLite"]),
    "link of nothing": ("run table=9 tracking.uri=localhost", ["tracking.uri=localhost", "http://"]),
    "unlimited trials": ("run table=9 search.max_trials=1e12", ["search.max_trials=1000000000000", "10000000"]),
    "catalogue name": ("run table=9 task.name=adding", ["task.name", "task=NAME", "valid: adding"]),
    "learning rate": ("run table=9 lr=0.1", ["lr: no such key", "training.rate=0.1"]),
    "learning rate as an option": ("run table=9 --lr 0.1", ["--lr:", "training.rate=0.1"]),
    "epochs": ("run table=9 epochs=3", ["epochs: no such key", "cap=100000"]),
    "batches": ("run table=9 batch_size=3", ["batch_size: no such key", "training.update=sequence"]),
    "hidden size": ("run task=adding network.hidden_size=3", ["hidden_size: no such key", "network.blocks=2"]),
    "samples": ("run task=adding num_samples=3", ["num_samples: no such key", "replicates=10", "search.cells=20"]),
    "trials": ("run task=adding n_trials=3", ["n_trials: no such key", "replicates=10", "search.cells=20"]),
    "Hydra's switch": ("run task=adding -m training.rate=1,2", ["-m:", "leave it out", "training.rate=0.1,0.5"]),
    "Hydra's option": ("run --multirun task=adding", ["--multirun:", "leave it out", "training.rate=0.1,0.5"]),
    "the best as a verb": ("best", ["best: no such verb", "lstm-search table study=NAME"]),
    "the list as a verb": ("list", ["list: no such verb", "lstm-search status"]),
    "the dashboard as a verb": ("dashboard", ["dashboard: no such verb", "lstm-search ui study=NAME"]),
    "a row with a sign": ("table study=x rows=rate=0.5", ["rows=rate=0.5:", """ "rows='rate=0.5'\""""]),
    "rows with a sign": ("table study=x rows=[rate=0.5,b]", [""" "rows=['rate=0.5','b']\""""]),
    "replay of nothing": ("replay", ["replay", "KEY_OR_RUN_ID"]),
    "same cell twice": ("run table=7 task.T=100", ["'T100' and 'T500'", "rows="]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered(mistake: str, empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, expected = MISTAKES[mistake]
    code, message = attempt(words.split(" "), capsys)
    assert code == 2
    for part in expected:
        assert part in message
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("mistake", ["unknown key", "rate nan", "unknown row"])
def test_a_mistake_in_a_real_process(mistake: str, empty: Path) -> None:
    words, expected = MISTAKES[mistake]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lstm_search", *words.split(" ")],
        capture_output=True,
        text=True,
        check=False,
    )
    imports = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    (message,) = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert (done.returncode, done.stdout) == (2, "")
    for part in expected:
        assert part in message
    modules = {line.rpartition("|")[2].strip() for line in imports}
    assert "lstm_search.config" in modules
    assert not {"ray", "mlflow", "matplotlib", "scipy.stats._stats_py"} & modules
    assert list(empty.iterdir()) == []


def test_a_huge_grid_takes_no_memory(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    axes = ["training.rate=range(1,1000001)", "stop.window=range(1,1000001)"]
    code, message = attempt(["run", "table=9", "rows=6a", "replicates=1", *axes], capsys)
    assert code == 2
    for part in ("search.max_trials=100000", "1,000,000,000,000 trials", "training.rate", "stop.window"):
        assert part in message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes
    assert list(empty.iterdir()) == []
