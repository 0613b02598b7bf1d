"""An NVIDIA GPU, by numba-cuda. It is imported only inside functions: a machine without a GPU needs nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np

from lstm_search.simd.threads import WARP

Launchers = dict[str, Callable[..., None]]
"""By name, what starts a kernel: (threads, *arguments)."""


class NoGpu(ValueError):  # noqa: N818  (named by what is the case)
    """There is no GPU to run kernels on, or what compiles for it is missing."""


def gpus() -> list[str]:
    """The names of this machine's GPUs. Raises `NoGpu`, which says what is missing, where there is none."""
    if find_spec("numba_cuda") is None:
        raise NoGpu("execute.device=gpu: needs the package numba-cuda: pip install 'lstm-search[gpu]'")
    from numba import cuda

    if not cuda.is_available():
        raise NoGpu(
            "execute.device=gpu: no NVIDIA GPU answers here, or its driver is older than CUDA 13; "
            "take execute.device=cpu"
        )
    return [_text(gpu.name) for gpu in cuda.gpus]


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


@contextmanager
def uncontracted() -> Iterator[None]:
    """Inside, numba-cuda compiles a product and a sum to two instructions, unless `fma` is written. It has no setting
    for that, but hands one on to the compiler below it."""
    from numba.cuda.cudadrv import nvvm

    compile_ir = nvvm.compile_ir
    nvvm.compile_ir = lambda code, **options: compile_ir(code, **{**options, "fma": False})
    try:
        yield
    finally:
        nvvm.compile_ir = compile_ir


class Gpu:
    """The first GPU that this process may use. Raises `NoGpu` where there is none."""

    def __init__(self) -> None:
        gpus()
        from numba import cuda

        self._cuda = cuda
        self.kernels: dict[Hashable, dict[str, Any]] = {}

    @property
    def free(self) -> int:
        """Bytes of its memory that nobody uses."""
        return int(self._cuda.current_context().get_memory_info().free)

    def compiled(self, shape: Hashable, make: Callable[[], Mapping[str, tuple[Any, tuple[Any, ...]]]]) -> Launchers:
        """Launchers of the `thread_kernels` that `make` returns, compiled once for all packs of a shape."""
        if shape not in self.kernels:
            with uncontracted():
                self.kernels[shape] = {
                    name: self._cuda.jit(types, lto=False, shared_memory_carveout="maxl1")(function)
                    for name, (function, types) in make().items()
                }
        return {name: self._launcher(kernel) for name, kernel in self.kernels[shape].items()}

    def _launcher(self, kernel: Any) -> Callable[..., None]:
        def launch(threads: int, *arguments: Any) -> None:
            kernel[-(-threads // WARP), WARP](*arguments)

        return launch

    @property
    def thread(self) -> Callable[[int], int]:
        """What tells a kernel the number of its thread."""
        grid: Callable[[int], int] = self._cuda.grid
        return grid

    def to_device(self, array: np.ndarray) -> Any:
        """A copy of the array, of any shape, in the memory of the GPU, in C order."""
        return self._cuda.to_device(np.ascontiguousarray(array))

    def empty(self, words: int) -> Any:
        """So many words of its memory, with anything in them."""
        return self._cuda.device_array(words, np.float64)

    def to_host(self, array: Any) -> np.ndarray:
        """A copy here, of the same shape."""
        copy: np.ndarray = array.copy_to_host()
        return copy
