"""The end of a sequence: what is summed up moves into the weights, across the lanes or in one after the other."""

from __future__ import annotations

from lstm_search.networks.in_lanes import apply, apply_runs
from lstm_search.networks.lstm1997_state import State, Variant
from lstm_search.networks.optimizers import DESCENT, count, follow
from lstm_search.simd import Lanes, inlined


@inlined
def _follow_all(variant: Variant, state: State, lanes: int) -> None:
    """The sums move into the weights by the optimizer of the variant, in the set `lanes`."""
    of, memory = state.of, state.memory
    for l in range(state.rate.shape[1]):
        if lanes >> l & 1:
            rule, W, V, of_W, of_V = memory.rule[:, l], memory.W, memory.V, memory.of_W, memory.of_V
            count(rule)
            follow(variant.sums, rule, state.W[..., l], state.dW[..., l], W.first[..., l], W.second[..., l])
            follow(variant.sums, rule, state.V[..., l], state.dV[..., l], V.first[..., l], V.second[..., l])
            follow(variant.sums, rule, of.W[:, l], of.dW[:, l], of_W.first[:, l], of_W.second[:, l])
            follow(variant.sums, rule, of.V[:, l], of.dV[:, l], of_V.first[:, l], of_V.second[:, l])


@inlined
def apply_sums(lanes: Lanes, variant: Variant, state: State, mask: int) -> None:
    """The sums move into the weights, in the lanes of `mask`, and are 0 again."""
    if variant.sums > DESCENT:
        _follow_all(variant, state, mask)
        return
    apply(lanes, state.W, state.dW, mask)
    apply(lanes, state.V, state.dV, mask)
    apply_runs(state.of.W, state.of.dW, mask)
    apply_runs(state.of.V, state.of.dV, mask)
