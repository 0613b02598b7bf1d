"""What the user asked for, as values: Hydra composes `conf/` and the command line here and nowhere else, and every
setting is checked before anything starts.
"""

from lstm_search.config.composition import compose, composed_yaml, in_effect
from lstm_search.config.grammar import refuse_repeated
from lstm_search.config.hints import HINTS, hint
from lstm_search.config.keys import (
    COLUMNS,
    GROUPS,
    SECTIONS,
    all_keys,
    describe,
    describe_keys,
    entry,
    nearest,
    options,
)
from lstm_search.config.recorded import fixed_words, recorded_settings, recorded_words
from lstm_search.config.settings import ConfigError, Settings
from lstm_search.config.words import words_of
