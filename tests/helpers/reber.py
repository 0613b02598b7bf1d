"""The strings of experiment 1 and the symbols that its grammar allows next."""

from helpers.naive_tasks import GRAMMAR

from lstm_search.simd.draws import COMMON, stream_key
from lstm_search.tasks import EmbeddedReber
from lstm_search.tasks.embedded_reber import STRINGS, string_of


def strings(*, distinct: bool = False, pair: int = 0) -> tuple[list[str], list[str]]:
    """A training set and its test set."""
    task = EmbeddedReber("distinct" if distinct else "with_replacement")
    spelled = [string_of(key) for key in task.keys(stream_key(1997, pair, COMMON))]
    return spelled[:STRINGS], spelled[STRINGS:]


def following(prefix: str) -> set[str]:
    """The symbols that may follow a prefix of a string."""
    if len(prefix) < 3:
        return [{"T", "P"}, {"B"}, {"T", "P"}][len(prefix) - 1]
    node = 0
    for count, symbol in enumerate(prefix[3:]):
        if node == 5:
            return [{prefix[1]}, {"E"}][len(prefix) - 4 - count]
        node = int(GRAMMAR[node][GRAMMAR[node].index(symbol) + 1])
    return {"E"} if node == 5 else set(GRAMMAR[node][::2])
