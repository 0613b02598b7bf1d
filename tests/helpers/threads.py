"""A stand-in for a GPU: the same kernels, compiled for this processor by numba, thread after thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from lstm_search.simd import WARP, Launchers

WORD = ir.IntType(64)


class Threads:
    """See `lstm_search.simd.cuda.Gpu`."""

    def __init__(self, free: int = 1 << 30, held: int = 0, shared: int = 0) -> None:
        self.free, self.most_held, self.most_shared = free, held, shared
        self._number, self._words = np.zeros(1, np.int64), np.full(shared * WARP, np.nan)
        address, words = self._number.ctypes.data, self._words.ctypes.data

        @intrinsic
        def thread(_context: Any, n: Any) -> Any:
            def build(_context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
                return builder.load(builder.inttoptr(WORD(address), WORD.as_pointer()))

            return numba.types.int64(n), build

        @intrinsic
        def near(_context: Any) -> Any:
            def build(_context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
                return builder.inttoptr(WORD(words), ir.DoubleType().as_pointer())

            return numba.types.CPointer(numba.types.float64)(), build

        self.thread: Callable[[int], int] = thread
        self.shared: Callable[[], Any] = near
        self.made: dict[Any, dict[str, Any]] = {}

    def compiled(self, shape: Any, make: Callable[[], Any]) -> Launchers:
        if shape not in self.made:
            self.made[shape] = {
                name: numba.njit(kernel.types, error_model="numpy", _nrt=False)(kernel.function)
                for name, kernel in make().items()
            }
        return {name: self._launcher(kernel) for name, kernel in self.made[shape].items()}

    def _launcher(self, kernel: Any) -> Callable[..., None]:
        def launch(threads: int, *arguments: Any) -> None:
            for number in range(threads):
                self._number[0] = number
                kernel(*arguments)

        return launch

    def to_device(self, array: np.ndarray) -> np.ndarray:
        return np.array(array)

    def empty(self, words: int) -> np.ndarray:
        return np.full(words, np.nan)

    def to_host(self, array: np.ndarray) -> np.ndarray:
        return array.copy()
