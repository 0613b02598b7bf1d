"""What compiles for a GPU: whether it is there, and that it contracts nothing."""

import re
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest

from lstm_search.simd import NoGpu, cuda, gpus
from lstm_search.simd.cuda import uncontracted


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "find_spec", lambda _: None)
    with pytest.raises(NoGpu, match=r"numba-cuda: pip install 'lstm-search\[gpu\]'"):
        gpus()


def test_products_and_sums_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("numba_cuda") is None:
        pytest.skip("numba-cuda is not installed")
    from numba import cuda as numba_cuda
    from numba import types

    def kernel(x: Any) -> None:
        x[0] = x[1] * x[2] + x[3]

    device = SimpleNamespace(compute_capability=(9, 0))
    monkeypatch.setattr("numba.cuda.compiler.get_current_device", lambda: device)
    with uncontracted():
        ptx, _ = numba_cuda.compile(kernel, types.void(types.float64[::1]), device=False, abi="numba", cc=(9, 0))
    assert re.findall(r"(fma|mul|add)\.rn\.f64", ptx) == ["mul", "add"]
