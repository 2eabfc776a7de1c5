"""Counts and exact sums of a folder of Parquet files: sums.py <reader> <folder> <group,..> <sum,..>, JSON rows."""

import glob
import json
import sys
from collections import defaultdict
from decimal import Decimal, getcontext

getcontext().prec = 60
reader, folder, groups, sums = sys.argv[1:5]
groups = [c for c in groups.split(",") if c]
sums = [c for c in sums.split(",") if c]
columns = groups + sums
files = sorted(glob.glob(folder + "/**/*.parquet", recursive=True))


def rows():
    if not files:
        return
    if reader == "duckdb":
        import duckdb

        names = ", ".join(f'"{c}"' for c in columns) or "1"
        query = f"select {names} from read_parquet(?, hive_partitioning = true, hive_types_autocast = false)"
        found = duckdb.execute(query, [folder + "/**/*.parquet"])
        while batch := found.fetchmany(10_000):
            yield from batch
    elif reader == "pyarrow":
        import pyarrow.dataset as ds

        table = ds.dataset(folder, format="parquet", partitioning=None).to_table(columns=columns)
        yield from zip(*(table[c].to_pylist() for c in columns))
    elif reader == "polars":
        import polars as pl

        frame = pl.scan_parquet(folder + "/**/*.parquet", hive_partitioning=False).select(columns).collect()
        yield from frame.iter_rows()
    else:
        sys.exit(f"unknown reader {reader}")


totals = defaultdict(lambda: [0] + [Decimal(0)] * len(sums))
for row in rows():
    key = tuple(None if v is None else str(v) for v in row[: len(groups)])
    total = totals[key]
    total[0] += 1
    for at, value in enumerate(row[len(groups) :], 1):
        if isinstance(value, float):
            sys.exit(f"{sums[at - 1]} is a float")
        total[at] += Decimal(value or 0)
print(json.dumps([[*k, str(t[0]), *(f"{v:.8f}" for v in t[1:])] for k, t in totals.items()]))
