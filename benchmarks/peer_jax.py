"""The benchmark's net in JAX: jit and vmap over trials, float64, one gradient step a sequence.

python peer_jax.py TRIALS [cpu|cuda]. Spared: all sequences have the same length and are drawn beforehand, and there is
no stop rule.
"""

import os
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["JAX_PLATFORMS"] = DEVICE = (*sys.argv, "cpu")[2]

import jax  # type: ignore[import-not-found]  # lives in .peers/; reads its flags when imported
import jax.numpy as jnp  # type: ignore[import-not-found]  # the same
import numpy as np
from adding import RATE, T, adding_data

jax.config.update("jax_enable_x64", True)
SEQUENCES = 50 if DEVICE == "cpu" else 10  # trained by one call
CLOCK = time.process_time if DEVICE == "cpu" else time.perf_counter
Weights = tuple[jax.Array, jax.Array]


def initial_weights(trials: int) -> Weights:
    """Every trial's weights: [trial, source, unit] and [trial, cell or bias], as table 7's net starts."""
    rng = np.random.default_rng(0)
    hidden, output = rng.uniform(-0.1, 0.1, (trials, 11, 8)), rng.uniform(-0.1, 0.1, (trials, 5))
    hidden[:, 10, 4:6] = -3, -6
    return jnp.asarray(hidden), jnp.asarray(output)


def loss(weights: Weights, x: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Half the squared error of one sequence, and the absolute error. Recurrent activations carry no gradient."""
    hidden, output = weights
    one = jnp.ones(1)

    def step(carry: tuple[jax.Array, jax.Array], x_t: jax.Array) -> tuple[tuple[jax.Array, jax.Array], None]:
        s, fed_back = carry
        net = jnp.concatenate([x_t, jax.lax.stop_gradient(fed_back), one]) @ hidden
        gates = jax.nn.sigmoid(net[4:])
        s = s + jnp.repeat(gates[:2], 2) * (4 * jax.nn.sigmoid(net[:4]) - 2)
        y_c = jnp.repeat(gates[2:], 2) * (2 * jax.nn.sigmoid(s) - 1)
        return (s, jnp.concatenate([y_c, gates])), None

    (_, last), _ = jax.lax.scan(step, (jnp.zeros(4), jnp.zeros(8)), x)
    error = target - jax.nn.sigmoid(jnp.concatenate([last[:4], one]) @ output)
    return error**2 / 2, jnp.abs(error)


def train(weights: Weights, x: jax.Array, targets: jax.Array) -> tuple[Weights, jax.Array]:
    """x[sequence, trial, step, input]; one sequence after another, all trials side by side."""
    gradient = jax.vmap(jax.grad(loss, has_aux=True))

    def sequence(weights: Weights, data: tuple[jax.Array, jax.Array]) -> tuple[Weights, jax.Array]:
        slopes, error = gradient(weights, *data)
        return (weights[0] - RATE * slopes[0], weights[1] - RATE * slopes[1]), error.mean()

    return jax.lax.scan(sequence, weights, (x, targets))  # type: ignore[no-any-return]  # JAX is untyped here


def main(trials: int, seconds: float = 2.0) -> None:
    """Trains for about `seconds` after a first call that compiles, and prints the time per trial and step."""
    x, targets = adding_data(np.random.default_rng(1), SEQUENCES * trials)
    data = jnp.asarray(x.reshape(SEQUENCES, trials, T, 2)), jnp.asarray(targets.reshape(SEQUENCES, trials))
    compiled = jax.jit(train)
    weights, first = compiled(initial_weights(trials), *data)
    jax.block_until_ready(weights)
    calls, start = 0, CLOCK()
    while CLOCK() - start < seconds:
        weights, errors = compiled(weights, *data)
        jax.block_until_ready(weights)
        calls += 1
    ns = 1e9 * (CLOCK() - start) / (calls * SEQUENCES * trials * T)
    print(
        f"{ns:.5f} ns per trial-step; mean error {first.mean():.5f} at first, {errors.mean():.5f} after "
        f"{SEQUENCES * (calls + 1)} sequences a trial"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
