"""Recurrent cascade-correlation by definition: whole epochs, means before covariances, and every derivative by complex
steps, so that nothing is carried along and nothing is summed in passing."""

import cmath
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from helpers.naive_rivals import Targets, f, felt, row_of
from numpy.typing import NDArray

from lstm_search.networks import Signal

Epoch = list[tuple[NDArray, Targets]]


def derivative(point: NDArray, value: Callable[[NDArray], complex]) -> NDArray:
    """d value / d entry, for all entries of `point`."""
    found = np.zeros(point.shape)
    for entry in np.ndindex(point.shape):
        moved = point.astype(complex)
        moved[entry] += 1e-30j
        found[entry] = value(moved).imag / 1e-30
    return found


def activations(units: list[NDArray], x: NDArray, n_inputs: int) -> list[list]:
    """Inputs, 1 and the activations of all units, at every step of a sequence. Unit i has n_inputs + i + 2 weights."""
    found, before = [], [0.0] * len(units)
    for x_t in x:
        z = [*row_of(x_t, n_inputs), 1.0]
        for unit, own in zip(units, before, strict=True):
            z.append(cmath.tanh(sum(w * source for w, source in zip(unit, [*z, own], strict=True))))
        before = z[n_inputs + 1 :]
        found.append(z)
    return found


def outputs(output: NDArray, z: list) -> list:
    return [f(sum(w * source for w, source in zip(row, z, strict=True))) for row in output]


def examples(units: list[NDArray], epoch: Epoch, n_inputs: int) -> list[tuple[list, NDArray]]:
    """Sources of the outputs, and the target, at every step that has one."""
    return [
        (z, targets[t]) for x, targets in epoch for t, z in enumerate(activations(units, x, n_inputs)) if t in targets
    ]


def squares(units: list[NDArray], output: NDArray, epoch: Epoch, n_inputs: int) -> complex:
    """The squared error of an epoch."""
    return sum(
        (t - y) ** 2
        for z, target in examples(units, epoch, n_inputs)
        for t, y in zip(target, outputs(output, z), strict=True)
    )


def covariances(units: list[NDArray], output: NDArray, candidate: NDArray, epoch: Epoch, n_inputs: int) -> list:
    """sum_p (V_p - mean V) (E_pk - mean E_k) for every output, over the squared error."""
    known = examples(units, epoch, n_inputs)
    errors = np.array([target - np.real(outputs(output, np.real(z))) for z, target in known])
    values = np.array([z[-1] for z, _ in examples([*units, candidate], epoch, n_inputs)])
    products = (values - values.mean()) @ (errors - errors.mean(axis=0))
    return list(products / (errors**2).sum())


def score(covariance: list) -> complex:
    """The sum of magnitudes, as a function that complex steps can pass."""
    return sum(c if np.real(c) >= 0 else -c for c in covariance)


def quickprop(push: float, before: float, step: float, rate: float, mu: float) -> float:
    """Fahlman (1988) as he wrote it down, for what is to fall, by its slopes."""
    slope, last, moved = -push, -before, 0.0
    if step < 0:
        moved -= rate * slope if slope > 0 else 0.0
        full = slope >= mu / (1 + mu) * last
    elif step > 0:
        moved -= rate * slope if slope < 0 else 0.0
        full = slope <= mu / (1 + mu) * last
    else:
        return -rate * slope
    return moved + (mu * step if full else step * max(slope / (last - slope) if last != slope else -mu, -mu))


@dataclass
class Twin:
    """One net. `pools[unit][candidate]`: first weights of all candidates."""

    network: Any
    n_inputs: int
    output: NDArray
    pools: list[list[NDArray]]
    signal: Signal  # of the outputs
    units: list[NDArray] = field(default_factory=list)
    pool: list[NDArray] | None = None
    measures: list[float] = field(default_factory=list)
    memory: dict[int, tuple[NDArray, NDArray]] = field(default_factory=dict)

    def is_stale(self, measure: float, change: float) -> bool:
        """Whether a phase with these measures ends: each epoch is compared with the last one that had changed."""
        self.measures.append(measure)
        mark, still = self.measures[0], 0
        for later in self.measures[1:]:
            moved = abs(later - mark) > change * mark
            mark, still = (later, 0) if moved else (mark, still + 1)
        return still >= self.network.patience or len(self.measures) >= self.network.longest

    def moved(self, index: int, weights: NDArray, pushes: NDArray, rate: float) -> NDArray:
        """The weights after a step of quickprop."""
        before, steps = self.memory.get(index, (np.zeros(weights.shape), np.zeros(weights.shape)))
        after = np.vectorize(quickprop)(pushes, before, steps, rate, self.network.mu)
        self.memory[index] = pushes, after
        return weights + after

    def learn(self, epoch: Epoch) -> None:
        if self.pool is None:
            self.learn_outputs(epoch)
        else:
            self.learn_pool(self.pool, epoch)

    def learn_outputs(self, epoch: Epoch) -> None:
        known = examples(self.units, epoch, self.n_inputs)

        def told(output: NDArray) -> complex:
            return sum(felt(outputs(output, z), target, self.signal) for z, target in known)

        error = float(np.real(squares(self.units, self.output, epoch, self.n_inputs)))
        if self.is_stale(error, self.network.output_change):
            self.measures, self.memory = [], {}
            if len(self.units) < len(self.pools):
                self.pool = list(self.pools[len(self.units)])
                return
        self.output = self.moved(0, self.output, -derivative(self.output, told), self.signal.rate / len(known))

    def learn_pool(self, pool: list[NDArray], epoch: Epoch) -> None:
        def of(candidate: NDArray) -> list:
            return covariances(self.units, self.output, candidate, epoch, self.n_inputs)

        scores = [float(np.real(score(of(candidate)))) for candidate in pool]
        if self.is_stale(max(scores), self.network.pool_change):
            best = pool[int(np.argmax(scores))]
            self.output = np.column_stack([self.output, np.real(of(best))])
            self.units.append(best)
            self.pool, self.measures, self.memory = None, [], {}
            return
        for c, candidate in enumerate(pool):
            pushes = derivative(candidate, lambda w: score(of(w)))
            pool[c] = self.moved(c, candidate, pushes, self.network.pool_rate)
