"""What the user asked for, as values: Hydra composes `conf/` and the command line here and nowhere else, and every
setting is checked before anything starts.
"""

from lstm_search.config.axes import SECTIONS
from lstm_search.config.composition import ConfigError, Settings, compose, composed_yaml
from lstm_search.config.keys import GROUPS, all_keys, describe, nearest, options

__all__ = [
    "GROUPS",
    "SECTIONS",
    "ConfigError",
    "Settings",
    "all_keys",
    "compose",
    "composed_yaml",
    "describe",
    "nearest",
    "options",
]
