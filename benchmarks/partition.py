"""Measure the partition against its rivals.

`python benchmarks/partition.py fields` needs the real images of GEOGRID_DATA, `… streets` its
streets of Wuhan;
`python benchmarks/partition.py city` makes its own city (about 10 minutes with all rivals);
`python benchmarks/partition.py cost` divides one, three and ten counties of the sample.
"""

import argparse
import os
from pathlib import Path

import pandas as pd

DATA = Path(os.environ.get("GEOGRID_DATA", "../shared/data"))


def main() -> None:
    """Run the named benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["fields", "streets", "city", "cost"])
    parser.add_argument("--atoms", type=int, default=500_000, help="cells of the city")
    parser.add_argument("--rivals", help="names, by comma; all by default, none if empty")
    parser.add_argument("--workers", type=int, default=2, help="processes of `cost`")
    parser.add_argument("--json", type=Path, help="file for the tables")
    given = parser.parse_args()
    if given.what == "fields":
        tables = _fields()
    elif given.what == "streets":
        tables = _streets()
    elif given.what == "city":
        tables = _city(given.atoms, given.rivals)
    else:
        tables = _cost(given.workers)
    for table in tables:
        print(table.to_string(float_format="%.3f"))
        print()
    if given.json:
        records = [table.reset_index().to_dict("records") for table in tables]
        given.json.write_text(pd.Series(records).to_json(orient="values"), encoding="utf-8")


def _fields() -> list[pd.DataFrame]:
    import fields

    table = fields.measure(DATA / "imagery")
    return [table, table.drop(columns="scene").groupby("method", sort=False).mean()]


def _streets() -> list[pd.DataFrame]:
    import streets

    return [streets.from_imagery(), streets.given(DATA / "roads" / "wuhan_streets.parquet")]


def _city(n_atoms: int, rivals: str | None) -> list[pd.DataFrame]:
    import city

    names = city.ALL if rivals is None else [name for name in rivals.split(",") if name]
    return list(city.compare(n_atoms, names))


def _cost(workers: int) -> list[pd.DataFrame]:
    import cost

    return [cost.measure(workers)]


if __name__ == "__main__":
    main()
