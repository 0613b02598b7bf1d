"""Learning curves, of which a study has one a trial: many, so that they are kept small."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

_POINT = struct.Struct("<qdd")  # sequences, error, wrong, every bit kept


@dataclass(frozen=True)
class CurvePoint:
    """The learning curve at one checkpoint: mean error and fraction wrong since the checkpoint before."""

    sequences: int
    error: float
    wrong: float


class Curve(Sequence[CurvePoint]):
    """The points of a learning curve in 24 bytes each, a tenth of what they take apart; equal to any sequence of the
    same points."""

    __slots__ = ("packed",)

    def __init__(self, packed: bytes) -> None:
        """Raises ValueError for what are no such bytes."""
        if not isinstance(packed, bytes) or len(packed) % _POINT.size:
            raise ValueError(f"a learning curve takes {_POINT.size} bytes a checkpoint, not {packed!r:.80}")
        self.packed = packed

    @classmethod
    def of(cls, points: Iterable[CurvePoint]) -> Curve:
        """The curve of these points."""
        return cls(b"".join(_POINT.pack(point.sequences, point.error, point.wrong) for point in points))

    def __len__(self) -> int:
        return len(self.packed) // _POINT.size

    @overload
    def __getitem__(self, index: int) -> CurvePoint: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[CurvePoint, ...]: ...
    def __getitem__(self, index: int | slice) -> CurvePoint | tuple[CurvePoint, ...]:
        return tuple(self)[index]

    def __iter__(self) -> Iterator[CurvePoint]:
        return (CurvePoint(*point) for point in _POINT.iter_unpack(self.packed))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))
