"""torch.nn.LSTM (today's net, with forget gate and full gradient) of 4 units trained on line: one sequence, one step.

Spared: sequences are drawn beforehand, and there is no stop rule; float32, which is faster. python peer_torch.py
"""

import time

import numpy as np
import torch  # type: ignore[import-not-found]  # lives in .peers/
from adding import RATE, T, adding_data

SEQUENCES = 500


def main(seconds: float = 2.0) -> None:
    """Trains for about `seconds` after 20 sequences of warming up, and prints the time per step."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net, readout = torch.nn.LSTM(2, 4), torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*net.parameters(), *readout.parameters()], lr=RATE)
    x, targets = (torch.from_numpy(array).float() for array in adding_data(np.random.default_rng(1), SEQUENCES))
    errors: list[float] = []

    def train(sequence: int) -> None:
        _, (last, _) = net(x[sequence])
        error = torch.sigmoid(readout(last)).squeeze() - targets[sequence]
        optimizer.zero_grad()
        (error**2 / 2).backward()
        optimizer.step()
        errors.append(abs(error.item()))

    for sequence in range(20):
        train(sequence)
    done, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        train(done % SEQUENCES)
        done += 1
    ns = 1e9 * (time.process_time() - start) / (done * T)
    print(
        f"{ns:.3f} ns per trial-step; mean error {np.mean(errors[:100]):.5f} at first, {np.mean(errors[-100:]):.5f} "
        f"after {len(errors)} sequences"
    )


if __name__ == "__main__":
    main()
