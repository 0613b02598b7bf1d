"""The learners, one file each. `NETWORKS` is the catalogue: the name written in a configuration, then its class.

`Learner` says what a network is. It knows tasks only as blocks of time steps, and no study.
"""

from __future__ import annotations

from lstm_search.networks.bptt import Bptt
from lstm_search.networks.carrousel import Carrousel
from lstm_search.networks.cascade import Cascade
from lstm_search.networks.chunker import Chunker
from lstm_search.networks.elman import Elman
from lstm_search.networks.gru import Gru
from lstm_search.networks.guessing import Guessing
from lstm_search.networks.learner import Kernels, Learner, Signal
from lstm_search.networks.lstm1997 import Lstm1997
from lstm_search.networks.lstm2000 import Lstm2000
from lstm_search.networks.optimizers import AT_ONCE, DESCENT, RULES, Rule
from lstm_search.networks.rtrl import Rtrl

NETWORKS: dict[str, type[Learner]] = {
    "lstm1997": Lstm1997,
    "lstm2000": Lstm2000,
    "rtrl": Rtrl,
    "bptt": Bptt,
    "elman": Elman,
    "guessing": Guessing,
    "carrousel": Carrousel,
    "chunker": Chunker,
    "cascade": Cascade,
    "gru": Gru,
}
