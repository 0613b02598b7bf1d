"""The learners, one file each. `NETWORKS` is the catalogue: the name written in a configuration, then its class."""

from lstm_search.networks.lstm1997 import Lstm1997

NETWORKS = {"lstm1997": Lstm1997}

__all__ = ["NETWORKS", "Lstm1997"]
