"""How an error is scaled on its way back through time (section 3.1 and appendix A.2; Hochreiter 1991): exact products
of Jacobians, over lags of 1, 2, .. steps.

What is called the factor at lag q is the largest, over all pairs of units, of the derivatives of a net input at step t
by one at step t - q; of LSTM those of a cell's output at t by a net input of a cell, or of an input gate, at t - q. A
factor may be far below the smallest number of a computer: what is kept is its logarithm, and products are scaled by
powers of two, which loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

import numpy as np

from lstm_search.networks import Bptt, Elman, Lstm1997, Lstm2000, Rtrl
from lstm_search.spec import Cell
from lstm_search.theory.passage import (
    G_KIND,
    H_KIND,
    Array,
    Blocks,
    Passage,
    activations,
    forgetting,
    logistic,
    passage_of,
    recurrent_sources,
    slope,
)

Weights = tuple[Array, Array]
"""Hidden and output weights."""

Into = Literal["cell", "gate", "state"]
"""Where an error leaves."""


class Curve(NamedTuple):
    """Factors against the lag, as logarithms to the base of 10; at index q - 1 that of lag q."""

    name: str
    factor: Array  # [Q] -inf where nothing flows
    bound: Array | None = None  # [Q] what theory says that no factor is above; None where it says nothing


class NoFlow(ValueError):  # noqa: N818  (named by what is the case)
    """A net through which errors do not flow as they do through those of this page; the message names it."""


Panels = dict[str, list[Curve]]
"""Curves that are looked at together, by a title."""


def untrained(seed: int, lags: int) -> Panels:
    """Nets as they are drawn: conventional ones of several sizes of weights, one that blows up, the naive carrousel,
    and the net of the adding problem as table 7 starts it."""
    held, linear = np.full((lags + 1, 1), 0.25), np.ones((lags + 1, 1))
    return {
        f"{UNITS} logistic units": [
            *(_random_net(seed, lags, "logistic", most) for most in (0.2, 0.39, 4.0, 40.0)),
            Curve("one unit, w = 5, f' = 1/4", conventional(np.array([[5.0]]), held)),
        ],
        f"{UNITS} tanh units": [_random_net(seed, lags, "tanh", most) for most in (0.0975, 0.5, 1.0)],
        "carrousel, LSTM": [
            Curve("naive carrousel", conventional(np.eye(1), linear)),
            *_adding_net(seed, lags),
        ],
    }


def of_trial(cell: Cell, weights: Mapping[str, Weights], x: Array, lags: int) -> Panels:
    """The net of a cell with weights (hidden, output) of several moments, by their names, over the input rows x [T, I],
    with `lags` up to T - 1. Raises NoFlow."""
    network = cell.network
    if isinstance(network, Lstm2000) and network.peepholes:
        raise NoFlow("network.peepholes=true: error-flow takes trials of nets whose gates do not see states")
    if isinstance(network, Blocks):
        return {moment: lstm_curves(network, some, x, lags) for moment, some in weights.items()}
    if isinstance(network, Rtrl | Bptt | Elman):
        return {moment: _recurrent_curves(network, hidden, x, lags) for moment, (hidden, _) in weights.items()}
    raise NoFlow(f"network={network.name}: error-flow takes trials of lstm1997, lstm2000, rtrl, bptt or elman")


def _recurrent_curves(network: Rtrl | Bptt | Elman, hidden: Array, x: Array, lags: int) -> list[Curve]:
    n = len(hidden)
    W, w_max = hidden[:, -n:], float(np.abs(hidden[:, -n:]).max())
    y = activations(hidden, x, biased=network.bias, reset=network.reset)
    name = f"{n} logistic units, weights up to {w_max:.3g}"
    factor = conventional(W, slopes_of("logistic", y)[-lags - 1 :])
    return [Curve(name, factor, bound(n, w_max, STEEPEST["logistic"], lags))]


UNITS = 10
"""Units of a random conventional net."""

STEEPEST = {"logistic": 0.25, "tanh": 1.0}
"""The largest f' there is."""

FUNCTIONS: dict[str, Callable[[Array], Array]] = {"logistic": logistic, "tanh": np.tanh}


def slopes_of(kind: str, y: Array) -> Array:
    """The derivative f' where f is y."""
    return np.asarray(y * (1.0 - y) if kind == "logistic" else 1.0 - y * y)


def _random_net(seed: int, lags: int, kind: str, most: float) -> Curve:
    """A fully recurrent net, all weights uniform in [-most, most], fed with two random inputs."""
    rng = np.random.default_rng(seed)
    hidden = rng.uniform(-most, most, (UNITS, 2 + UNITS))
    y = activations(hidden, rng.uniform(-1, 1, (lags + 1, 2)), biased=False, reset=0.0, f=FUNCTIONS[kind])
    name = f"weights up to {most:g}"
    return Curve(name, conventional(hidden[:, 2:], slopes_of(kind, y)), bound(UNITS, most, STEEPEST[kind], lags))


def bound(n: int, w_max: float, steepest: float, lags: int) -> Array | None:
    """Hochreiter's: n tau^q with tau = n w_max f'_max, which says something where tau < 1."""
    tau = n * w_max * steepest
    return np.log10(n) + np.arange(1, lags + 1) * math.log10(tau) if 0 < tau < 1 else None


def conventional(W: Array, slopes: Array) -> Array:
    """Factors of a net with the recurrent weights W [n, n] whose f' were `slopes` [T, n], for lags 1 to T - 1:
    d net(t)/d net(t - 1) = W diag(f'(net(t - 1))), where t is the last step."""
    flow, leaving = np.eye(len(W)), np.eye(len(W))
    return products(flow, ((W * slopes[t], leaving) for t in range(len(slopes) - 2, -1, -1)))


def products(flow: Array, backwards: Iterable[tuple[Array, Array]]) -> Array:
    """By q, log10 of the largest entry of `flow` J_1 J_2 .. J_q E_q, of the pairs (J_q, E_q) that come one by one."""
    power, found = 0, []
    for jacobian, leaving in backwards:
        flow = flow @ jacobian
        exponent = math.frexp(float(np.abs(flow).max()))[1]
        flow, power = np.ldexp(flow, -exponent), power + exponent
        largest = float(np.abs(flow @ leaving).max())
        found.append(math.log10(largest) + power * math.log10(2.0) if largest > 0.0 else -math.inf)
    return np.array(found)


class Step(NamedTuple):
    """The derivatives of what a net of memory cell blocks has at a step: states and activations, v = (s, y) [C + U]."""

    by_net: Array  # [C + U, U] by the step's net inputs
    by_state: Array  # [C + U, C] by the states of the step before, net inputs held


def derivatives(network: Blocks, seen: Passage, t: int) -> Step:
    """A.1, differentiated at step t of the passage of one net over one sequence."""
    C, b, U, c = network.cells, network.blocks, network.units, np.arange(network.cells)
    j = c // network.size
    by_net, by_state = np.zeros((C + U, U)), np.zeros((C + U, C))
    y_in, y_out, g, h = seen.y_in[t][j], seen.y_out[t][j], seen.g[t], seen.h[t]
    by_net[c, c] = y_in * slope(G_KIND[network.g], g)  # ds_c/dnet_c
    before, y_f = seen.s[t - 1] if t else np.zeros(C), seen.y_f[t][j]
    by_in = g - before if forgetting(network) == "coupled" else g
    by_net[c, C + j] = by_in * y_in * (1.0 - y_in)  # ds_c/dnet_in
    if forgetting(network) == "gates":
        by_net[c, U - b + j] = before * y_f * (1.0 - y_f)
    by_state[c, c] = y_f
    through = (y_out * slope(H_KIND[network.h], h))[:, None]  # dy_c/ds_c
    by_net[C : 2 * C], by_state[C : 2 * C] = through * by_net[:C], through * by_state[:C]
    if network.output_gates:
        by_net[C + c, C + b + j] = h * y_out * (1.0 - y_out)
    rest = np.arange(C, U)  # gates and conventional units
    gates = [seen.y_in[t], *[seen.y_out[t]] * network.output_gates]
    y = np.concatenate([*gates, seen.y_i[t], *[seen.y_f[t]] * (forgetting(network) == "gates")])
    by_net[C + rest, rest] = y * (1.0 - y)
    return Step(by_net, by_state)


def lstm(network: Blocks, hidden: Array, seen: Passage, lags: int, *, full: bool, into: Into = "cell") -> Array:
    """Factors of such a net with the weights `hidden` [U, M] that did what was `seen` of one sequence, for `lags` from
    1 on: from the outputs of cells at the last step into cell inputs or input gates, or from states into states.

    The `full` gradient flows through all that the step before has left: states, and the activations that are fed back.
    The truncated one takes those for constants, and flows through states only.
    """
    C, U, last = network.cells, network.units, len(seen.net) - 1
    enters = slice(0, C) if into == "state" else slice(C, 2 * C)
    leaves = slice(C, C + network.blocks) if into == "gate" else slice(0, C)
    R = recurrent_sources(network)
    fed_back = np.zeros((U, U))
    fed_back[:, :R] = hidden[:, hidden.shape[1] - R :]

    def backwards() -> Iterator[tuple[Array, Array]]:
        step = derivatives(network, seen, last)
        for t in range(last - 1, last - 1 - lags, -1):
            recurrent = step.by_net @ fed_back if full else np.zeros((C + U, U))
            before = derivatives(network, seen, t)
            left = np.eye(C + U)[:, leaves] if into == "state" else before.by_net[:, leaves]
            yield np.concatenate([step.by_state, recurrent], axis=1), left
            step = before

    return products(np.eye(C + U)[enters], backwards())


def lstm_curves(network: Blocks, weights: Weights, x: Array, lags: int) -> list[Curve]:
    """The full and the truncated flow of a net with these weights (hidden, output) over the input rows x [T, I]."""
    hidden, seen = weights[0], passage_of(network, *weights, x)
    return [
        Curve("LSTM within cells", lstm(network, hidden, seen, lags, full=False, into="state")),
        Curve("LSTM to cell inputs", lstm(network, hidden, seen, lags, full=False)),
        Curve("LSTM to input gates", lstm(network, hidden, seen, lags, full=False, into="gate")),
        Curve("LSTM to cell inputs, full gradient", lstm(network, hidden, seen, lags, full=True)),
    ]


def _adding_net(seed: int, lags: int) -> list[Curve]:
    network, rng = Lstm1997(input_gate_bias=(-3.0, -6.0)), np.random.default_rng(seed)
    weights = network.initial(np.uint64(seed), 2, 1)
    rows = np.stack([rng.uniform(-1, 1, lags + 1), np.zeros(lags + 1)], axis=-1)
    return lstm_curves(network, weights, rows, lags)
