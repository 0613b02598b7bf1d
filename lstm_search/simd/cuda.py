"""An NVIDIA GPU, by numba-cuda. It is imported only inside functions: a machine without a GPU needs nothing of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np

from lstm_search.simd.threads import WARP, Threaded

Launchers = dict[str, Callable[..., None]]
"""By name, what starts a kernel: (threads, *arguments)."""


HELD, SHARED = 96, 221
"""Rows of a lane that its thread keeps close, unless told otherwise: a Hopper's multiprocessor then has room for four
warps, and no other choice that was measured is as fast (`benchmarks/gpu.py close`)."""


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


def shared_words() -> Any:
    """What gives a kernel the words that the threads of its warp share."""
    from llvmlite import ir
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    @intrinsic
    def shared(_typingctx: Any) -> Any:
        def build(_context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
            name, array = "lstm_search_shared", ir.ArrayType(ir.DoubleType(), 0)
            words = builder.module.globals.get(name) or cgutils.add_global_variable(builder.module, array, name, 3)
            words.linkage, words.align = "external", 8  # its size is told when the kernel starts
            return builder.addrspacecast(words, ir.DoubleType().as_pointer())

        return types.CPointer(types.float64)(), build  # type: ignore[attr-defined]  # numba has no types

    return shared


class Gpu:
    """The first GPU that this process may use. Raises `NoGpu` where there is none."""

    def __init__(self, held: int = HELD, shared: int = SHARED) -> None:
        """`held`, `shared`: rows of a lane that its thread keeps close (see `simd.threads.close_rows`)."""
        gpus()
        from numba import cuda

        warnings.filterwarnings("ignore", ".*Grid size")  # few trials are no mistake

        self._cuda, self.shared, self.most_held, self.most_shared = cuda, shared_words(), held, shared
        self.kernels: dict[Hashable, dict[str, tuple[Any, int]]] = {}

    @property
    def free(self) -> int:
        """Bytes of its memory that nobody uses."""
        return int(self._cuda.current_context().get_memory_info().free)

    def compiled(self, shape: Hashable, make: Callable[[], Mapping[str, Threaded]]) -> Launchers:
        """Launchers of the `thread_kernels` that `make` returns, compiled once for all packs of a shape."""
        if shape not in self.kernels:
            with uncontracted():
                self.kernels[shape] = {name: self._compiled(kernel) for name, kernel in make().items()}
        return {name: self._launcher(*kernel) for name, kernel in self.kernels[shape].items()}

    def _compiled(self, kernel: Threaded) -> tuple[Any, int]:
        """The kernel, and the bytes that a warp shares: more than are usual, so the driver has to be told."""
        more = "maxshared" if kernel.shared else "maxl1"
        compiled = self._cuda.jit(kernel.types, lto=False, shared_memory_carveout=more)(kernel.function)
        shared = kernel.shared * WARP * 8
        if shared:
            from cuda.bindings.driver import CUfunction_attribute  # type: ignore[import-not-found]  # comes with numba-cuda
            from numba.cuda.cudadrv.driver import driver

            (only,) = compiled.overloads.values()
            function = only._codelibrary.get_cufunc()  # noqa: SLF001  (numba-cuda has no setting for it)
            most = CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            driver.cuKernelSetAttribute(most, shared, function.handle, function.device.id)
        return compiled, shared

    def _launcher(self, kernel: Any, shared: int) -> Callable[..., None]:
        def launch(threads: int, *arguments: Any) -> None:
            kernel[-(-threads // WARP), WARP, 0, shared](*arguments)

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
