"""What trials must have in common to be trained side by side, and how long the blocks are that they run through."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from lstm_search.networks import AT_ONCE, DESCENT, RULES, Kernels, Learner
from lstm_search.simd import Layout
from lstm_search.spec import Cell

_WORK = 8_000_000
"""How much a net's weights times the steps of a block may be, so that a net of any size answers in time."""

_BYTES = 2 << 20
"""How large a block may be, so that it stays in the second-level cache."""

_CLOSE = 48 << 10
"""Bytes of a core's first-level cache."""


class Shape(NamedTuple):
    """What trials must have in common to share a pack."""

    task: Any
    network: Any
    kernels: Kernels
    layout: Layout
    variant: Any
    ring: int


def shape_of(cell: Cell) -> Shape:
    """The shape of a cell's trials."""
    task, layout = cell.task, cell.task.layout
    network: Learner = cell.network
    sums = RULES[cell.training.optimizer]
    if cell.training.update == "step" or (sums == DESCENT and layout.targets == "last"):
        sums = AT_ONCE
    variant = network.variant(layout.inputs, symbols=layout.symbols, sums=sums)
    looks_back = [rule.window for rule in cell.stop if not rule.checked]
    if growth := growth_rule(network):
        looks_back.append(2 * growth[0])
    return Shape(type(task), type(network), network.kernels, layout, variant, max(looks_back, default=1))


@cache
def most_lanes(shape: Shape, width: int) -> int:
    """How many of `width` lanes a pack has at most: all, or half of them where what every step goes through would not
    stay in the first-level cache. With 16 lanes, two such packs take turns in .74 to .93 of the time that one of all
    takes (AVX-512; benchmarks/packs.py)."""
    touched = shape.kernels.touched
    if touched is None or width < 2:
        return width
    state = shape.kernels.new_state(width, shape.variant, shape.layout.outputs)
    return width if touched(state) <= _CLOSE else width // 2


def growth_rule(network: Learner) -> tuple[int, float] | None:
    """Window (training sequences) and drop of the error by which the net's units join in (see `Growth`); None where all
    units are there from the start."""
    growth = network.kernels.growth
    return growth.rule(network) if growth else None


def block_steps(weights: int, layout: Layout, width: int) -> int:
    """Time steps of a block, a multiple of 8: what the layout wants, fewer for large nets and wide layouts."""
    a_step = 8 * width * (layout.outputs + (1 if layout.symbols else layout.inputs))
    return max(8, min(layout.steps, _WORK // weights, _BYTES // a_step) // 8 * 8)
