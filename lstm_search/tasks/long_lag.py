"""Long time lags without noise: experiments 2a and 2b of Hochreiter & Schmidhuber (1997), section 5.2, table 2.

Symbols a_1 .. a_(p-1), x = a_p, y = a_(p+1), numbered from 0. A sequence is x or y, then p - 1 others, then the first
symbol again; the next symbol is to be predicted at each of p steps. The last symbol predicts nothing, so it is no step.
"""

from __future__ import annotations

from dataclasses import dataclass

from lstm_search import simd
from lstm_search.checks import setting, settle
from lstm_search.simd import Bits, Block, Layout, Stream


@simd.inlined
def _symbol(key: Bits, i: int, p: int, regular: int) -> int:
    """Symbol i = 0 .. p of a sequence."""
    if i in (0, p):
        return p - 1 + simd.below(key, simd.APART, 2)
    return i - 1 if regular else simd.below(key, i, p - 1)


@simd.kernel
def fill(block: Block, stream: Stream) -> None:
    """Lay the next steps of every lane into `block` (symbols, and the next symbol as target) and advance `stream`."""
    simd.begin(block, stream)
    p, lanes = block.target.shape[1] - 1, stream.key.shape[0]
    for t in range(block.due.shape[0]):
        for k in range(p + 1):
            for l in range(lanes):
                block.target[t, k, l] = 0.0
        for l in range(lanes):
            key, i = stream.sequence_key[l], t - stream.start[l]
            block.symbol[t, l] = _symbol(key, i, p, stream.settings[l].regular)
            block.target[t, _symbol(key, i + 1, p, stream.settings[l].regular), l] = 1.0
            block.due[t] |= (i == p - 1 or not stream.settings[l].at_end) << l
            block.ends[t] |= (i == p - 1) << l
        simd.pass_ends(stream, block.ends[t], t)
    simd.leave(block, stream)


@dataclass(frozen=True)
class LongLag:
    """Predict the next of `p` symbols; the last is the first one again, `p` steps before.

    Those between are always the same (`regular`, 2a), or random, so that nothing local helps (2b).
    """

    p: int = setting(
        100,
        "steps between the first symbol and its return; there are p + 1 symbols",
        low=2,
        high=500,
        takes="takes 2 to 500; there are p + 1 inputs and outputs",
    )
    regular: bool = setting(True, "whether the symbols between are always the same")
    at_end: bool = setting(
        False, "whether the last step alone has a target, or all have one, the next symbol", reading=True
    )

    name = "long_lag"
    fill = staticmethod(fill)
    keys = staticmethod(simd.no_keys)

    def __post_init__(self) -> None:
        settle(self, "task")

    @property
    def layout(self) -> Layout:
        """One input and one output a symbol. Blocks are short: all their targets should stay in cache."""
        n = self.p + 1
        targets = "last" if self.at_end else "all"
        return Layout(n, n, symbols=True, targets=targets, classes=True, steps=128)

    @property
    def length(self) -> float:
        """Mean number of steps of a sequence."""
        return float(self.p)
