"""`python -m geogrid` is the command `geogrid`."""

from geogrid.cli import main

main()
