"""Compiled loops over plain arrays: the only place where Numba is imported.

The caller validates; a kernel takes arrays and scalars and returns arrays. Compiled code is cached
on disk, so that a command on a hundred rows does not pay for compiling.
"""
