"""Asking the processor for memory before it is needed, in compiled code."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _prefetch(typing: Any, array: Any, index: Any) -> Any:
    """``prefetch(array, index)`` brings the cache line of ``array[index]`` near, and goes on without waiting.

    A hint: any index will do, also one beyond the array. Where lists are walked in no order, the processor guesses
    none of the addresses and every list begins with a wait; asked for a few lists ahead, it waits for none.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, word, word, word])
        declare: Any = cgutils.get_or_insert_function
        call = declare(builder.module, kind, "llvm.prefetch.p0")
        builder.call(call, [address, word(0), word(3), word(1)])  # to read, kept in all caches, data
        return context.get_dummy_value()

    return types.void(array, types.int64), code


prefetch: Any = intrinsic(_prefetch)
