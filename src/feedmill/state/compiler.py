"""How the kernel is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit
from numba.core.options import DefaultOptions

F = TypeVar("F", bound=Callable[..., Any])
Int = Any  # an int to Python, an int32 or int64 to the compiler

# The kernel allocates nothing, so it can do without reference counts: twice as fast, and faster compiled.
FAST: dict[str, Any] = {name: False for name in ("_nrt",) if hasattr(DefaultOptions, name)}
LEAN: dict[str, Any] = {n: True for n in ("no_cpython_wrapper", "no_cfunc_wrapper") if hasattr(DefaultOptions, n)}
OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", **FAST}

jit = cast(Callable[[F], F], njit(**OPTIONS))
inner = cast(Callable[[F], F], njit(**OPTIONS, **LEAN))  # what only compiled code calls
