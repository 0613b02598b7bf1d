"""Compiler flags and the folder of compiled kernels, decided once, before numba is imported anywhere in the package.

numba notices an edited kernel but not an edited function that the kernel calls from another file. The cache folder is
therefore named by a digest of all sources that hold compiled code and of the flags, so stale machine code is not found.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

os.environ.setdefault("NUMBA_OPT", "2")  # level 3 compiles a third longer and gains nothing here

_COMPILED = ("simd/*.py", "tasks/*.py", "networks/*.py")

_FLAGS = ("NUMBA_BOUNDSCHECK", "NUMBA_OPT", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")


def _cache_root() -> Path:
    chosen = os.environ.get("LSTM_SEARCH_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lstm_search"


def _digest() -> str:
    sources = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(path for pattern in _COMPILED for path in package.glob(pattern)):
        sources.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes() + b"\0")
    sources.update(repr([os.environ.get(flag) for flag in _FLAGS]).encode())
    return sources.hexdigest()[:16]


_V3 = ("avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "popcnt")

LEVELS = {"x86-64-v3": _V3, "x86-64-v4": (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")}
"""Levels that NUMBA_CPU_NAME may name, and what they need: kernels compiled for one run on every processor that has it,
where otherwise they run on the kind of processor that compiled them."""

CACHE_DIR = _cache_root() / f"kernels-{_digest()}"
os.environ["NUMBA_CACHE_DIR"] = str(CACHE_DIR)

import numba  # noqa: E402  (numba reads the folder when it is imported)
from llvmlite import binding  # noqa: E402  (numba first, for the same reason)
from numba.core.codegen import JITCodeLibrary  # noqa: E402
from numba.core.compiler import Compiler  # noqa: E402
from numba.core.types.npytypes import Record  # noqa: E402
from numba.extending import overload  # noqa: E402

from lstm_search.simd.kept import KeptCode  # noqa: E402

numba.config.CACHE_DIR = str(CACHE_DIR)  # numba may have been imported before this module


def _wide_vectors() -> None:
    """LLVM splits 512-bit vectors in two on processors that once slowed down for them; ours are worth their clock."""
    if numba.config.CPU_FEATURES:
        return
    if numba.config.CPU_NAME in LEVELS:  # more features of this processor would bind the kernels to it
        numba.config.CPU_FEATURES = "-prefer-256-bit"
        return
    features = binding.get_host_cpu_features().flatten()
    if "+avx512f" in features:
        numba.config.CPU_FEATURES = f"{features},-prefer-256-bit"


_wide_vectors()


class UnsupportedProcessor(ValueError):  # noqa: N818  (named by what is the case)
    """The kernels do not run here."""


def target_features() -> set[str]:
    """What kernels may use: the features of the level that they are compiled for, or all of this processor.

    Raises `UnsupportedProcessor` where the processor has less than that level.
    """
    host = {name for name, present in binding.get_host_cpu_features().items() if present}
    level = numba.config.CPU_NAME
    needed = set(LEVELS.get(level, host))
    if needed <= host:
        return needed
    raise UnsupportedProcessor(
        f"processor {binding.get_host_cpu_name()}: lacks {', '.join(sorted(needed - host))}, which kernels made for "
        f"{level} need; build for a lower CPU_LEVEL, unset NUMBA_CPU_NAME, or run on another machine"
    )


_KERNEL: dict[str, Any] = {"error_model": "numpy", "nogil": True, "_nrt": False, "no_cfunc_wrapper": True}
"""Nobody calls a kernel from C, so it has no function for that, which would take long to compile."""


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` on its first call and keep the machine code on disk.

    No fast-math, so that a result depends on the order of operations as written and on nothing else; division by zero
    gives inf or nan; one thread.
    """
    compiled: Any = numba.njit(**_KERNEL)(function)
    compiled._cache = KeptCode(function)  # noqa: SLF001  (numba offers no other place)
    return cast("Callable[..., Any]", compiled)


class _PieceLibrary(JITCodeLibrary):  # type: ignore[misc]  # numba has no types
    """The code of a piece as numba keeps it, but for what only a function with an address of its own needs.

    A piece is optimised and made into machine code as a part of the kernels that take it in. To do both for itself as
    well would double the time that a kernel takes to compile.
    """

    def _optimize_final_module(self) -> None: ...

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True

    def get_pointer_to_function(self, _name: str) -> int:
        """What Python calls where it calls a piece: a function that raises TypeError."""
        self._ensure_finalized()
        return ctypes.cast(ctypes.pythonapi.PyErr_BadArgument, ctypes.c_void_p).value or 0

    @property
    def codegen(self) -> _PieceLibrary:
        return self  # asked for `set_env` only

    def set_env(self, *_: Any) -> None:
        """A function's environment is for errors that it raises; a piece raises none."""


class _PieceCompiler(Compiler):  # type: ignore[misc]  # numba has no types
    def define_pipelines(self) -> Any:
        self.state.library = _PieceLibrary(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        return super().define_pipelines()


_PIECE = {**_KERNEL, "forceinline": True, "no_cpython_wrapper": True, "pipeline_class": _PieceCompiler}
"""A piece cannot be called but from a kernel."""


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A piece of a kernel: the compiler puts it where it is called, so that its vectors stay in registers."""
    compiled: Callable[..., Any] = numba.njit(**_PIECE)(function)
    return compiled


_PACKAGE = __name__.partition(".")[0]


@cache
def type_name(kind: Any) -> str:
    """The name by which kernels, and the machine code on disk, know settings of the class `kind`.

    Of a class from outside of this package the name holds a digest of its sources: `CACHE_DIR` is named by ours alone,
    so that an edited task would otherwise be trained by the machine code of what it was before.
    """
    return kind.__name__ if kind.__module__.startswith(f"{_PACKAGE}.") else f"{kind.__name__}_{source_digest(kind)}"


@cache
def source_digest(kind: Any) -> str:
    """Twelve digits for the sources of the outermost package that a class stands in, or of its module alone; "" where
    there are none to be read."""
    module = sys.modules[kind.__module__]
    outermost = sys.modules.get(kind.__module__.partition(".")[0], module)
    folders = [Path(folder) for folder in vars(outermost).get("__path__", ())]  # only a package has one
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    files = files or [Path(name) for name in [outermost.__file__] if name and name.endswith(".py")]
    sources = hashlib.sha256()
    for path in files:
        sources.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return sources.hexdigest()[:12] if files else ""


def generic(piece: Callable[..., Any]) -> dict[type, Callable[..., Any]]:
    """Make `piece` a piece of a kernel that has one body for each type of its second argument.

    That is a NamedTuple, or a record of `settings_record`, whose type is the class of the settings. The bodies go into
    the dict that is returned: the type, then a plain function of the same arguments. The choice is made when a kernel
    is compiled, so no function is passed at run time, and the machine code is found on disk again. A kernel that calls
    `piece` with a type that has no body does not compile: `numba.TypingError`. Machine code is found by the names of
    types, so two of them must not have the same name.
    """
    bodies: dict[type, Callable[..., Any]] = {}

    def body(_first: Any, second: Any, *_rest: Any) -> Callable[..., Any] | None:
        if isinstance(second, Record):
            return next((chosen for kind, chosen in bodies.items() if type_name(kind) in second.fields), None)
        return bodies.get(second.instance_class)

    overload(piece, jit_options=_PIECE, strict=False)(body)  # not strict: the bodies name their arguments themselves
    return bodies
