"""Measure the partition against its rivals: `python benchmarks/partition.py fields`."""

import argparse
import os
from pathlib import Path

import fields

DATA = Path(os.environ.get("GEOGRID_DATA", "../shared/data"))


def main() -> None:
    """Run the named benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["fields"])
    parser.parse_args()
    table = fields.measure(DATA / "imagery")
    print(table.to_string(index=False, float_format="%.3f"))
    means = table.drop(columns="scene").groupby("method", sort=False).mean()
    print(means.to_string(float_format="%.3f"))


if __name__ == "__main__":
    main()
