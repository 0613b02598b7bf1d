"""A learning curve in few bytes is the same as its points."""

from __future__ import annotations

import copy

import pytest

from lstm_search.spec import Curve, CurvePoint

POINTS = (CurvePoint(10, 0.5, 1.0), CurvePoint(13, 0.1 + 0.2, 0.25), CurvePoint(2**40, -0.0, 5e-324))


def test_a_curve_is_the_sequence_of_its_points() -> None:
    curve = Curve.of(POINTS)
    assert (len(curve), tuple(curve), curve[0], curve[-1], curve[1:]) == (3, POINTS, POINTS[0], POINTS[2], POINTS[1:])
    assert curve == POINTS
    assert curve == Curve.of(curve) == copy.deepcopy(curve)
    assert hash(curve) == hash(Curve.of(POINTS))
    assert curve != POINTS[:2]
    assert curve != b"points"
    assert str(curve[2].error) == "-0.0"
    assert not Curve(b"")


def test_a_point_takes_24_bytes() -> None:
    assert [len(Curve.of(POINTS[:n]).packed) for n in range(4)] == [0, 24, 48, 72]


@pytest.mark.parametrize("packed", [b"25 bytes, not a whole point", "text", None])
def test_what_is_no_curve_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="24 bytes a checkpoint"):
        Curve(packed)
