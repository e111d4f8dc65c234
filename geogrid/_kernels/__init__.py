"""Compiled loops over plain arrays: the only place where Numba is imported.

The caller validates; a kernel takes arrays and scalars and returns arrays. Compiled code is cached
on disk, so that a command on a hundred rows does not pay for compiling.
"""

import sys
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numba

_BLAS = "scipy.linalg"
"""Where Numba looks for matrix products as soon as a kernel is loaded: 0.2 s, and none has any.

It is hidden while Numba looks, once; products in kernels of others are looked for when they are
compiled, and found.
"""

if _BLAS not in sys.modules:
    sys.modules[_BLAS] = None  # what `import` takes as missing
    try:
        import numba.np.arraymath  # looks when it is imported
    finally:
        del sys.modules[_BLAS]


def compiled(kernel: Any, *arguments: object) -> Callable[..., Any]:
    """Return a kernel as it is compiled for arguments of the types of these.

    Called so, it does not find out again what it is given: of named tuples of arrays, that takes
    twice as long as a look-up.
    """
    kernel(*arguments)
    entry: Callable[..., Any] = kernel.get_overload(tuple(map(numba.typeof, arguments)))
    return entry


class Recompiles:
    """What is pickled without its cached properties, compiled code above all."""

    def __getstate__(self) -> dict[str, object]:
        """Return what cannot be made again."""
        kind = type(self)
        return {
            name: value
            for name, value in vars(self).items()
            if not isinstance(getattr(kind, name, None), cached_property)
        }


lean = numba.njit(cache=True, nogil=True, _nrt=False)  # type: ignore[call-overload]  # lacks _nrt
"""Compile a kernel that neither takes memory nor lets any go.

Numba counts references to every array that a kernel is given unless it sees that it need not, which
it does only in the smallest: in kernels that are called for each unit, a sixth of the time.
"""

counting = numba.njit(cache=True, nogil=True, _nrt=True)  # type: ignore[call-overload]  # as above
"""Compile a kernel that takes memory and is called by a lean one, which hands its own choice on."""
