"""The command line: `geogrid …`. Heavy imports wait until a command needs them."""

from geogrid.cli.app import app, main

__all__ = ["app", "main"]
