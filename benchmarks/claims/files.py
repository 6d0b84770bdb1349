"""Fits from files: memory, cold passes beside a plain read, and the objective from every store."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..worker import launch
from ._common import DAY, anonymous, fit_and_watch

COLUMNS, _BLOCK = 512, 2**14
#: Store, rows and classes of each table; the last one is larger than memory.
_TABLES = (
    ("npy, float32", 6_000_000, 10),
    ("npy, float16", 6_000_000, 10),
    ("HDF5", 600_000, 10),
    ("Zarr", 600_000, 10),
    ("Parquet", 600_000, 10),
    ("npy, float32", 20_000_000, 2),
)


def files(options: argparse.Namespace) -> str:
    """Write one table to every store, and fit it from each."""
    lines = [
        "| store | rows | classes | GiB | cold read(), s | cold pass, s | ratio | fit, s | passes "
        "| MiB added | relative difference of F |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for store, rows, K in _TABLES:
        n = min(rows, 60_000) if options.quick else rows
        with tempfile.TemporaryDirectory(dir=options.out) as folder:
            path = Path(folder).resolve() / "X"
            _WRITERS[store](path, n)
            print(f"{store}: written", flush=True)
            task = {"store": store, "path": str(path), "rows": n, "classes": K}
            found = launch("benchmarks.claims.files:files_task", limit=DAY, **task)
        if found["status"] != "ok":
            lines.append(f"| {store} | {n} | {K} | {found['status']} |")
            continue
        off = "" if found["off"] is None else f"{found['off']:.0e}"
        lines.append(
            f"| {store} | {n} | {K} | {found['GiB']:.2f} | {found['read']:.2f} "
            f"| {found['pass']:.2f} | {found['pass'] / found['read']:.2f} | {found['fit']:.1f} "
            f"| {found['passes']:.1f} | {found['memory']:.0f} | {off} |"
        )
        print(lines[-1], flush=True)
    intro = (
        f"Made rows of {COLUMNS} columns, `tol=1e-6`. A cold pass is a value "
        "and gradient after the pages of the file were dropped; `read()` reads the same files, "
        "cold, in pieces of 16 MiB. Memory is what is not pages of files. The last column compares "
        "the objective with that of a fit of the same rows in memory, for the smaller tables."
    )
    return "\n\n".join([intro, "\n".join(lines)])


def _blocks(rows: int, dtype: Any = np.float32) -> Any:
    """Rows in blocks, each with its start."""
    rng = np.random.default_rng(0)
    scale = (1 / np.sqrt(np.arange(1, COLUMNS + 1))).astype(np.float32)
    for start in range(0, rows, _BLOCK):
        size = min(_BLOCK, rows - start)
        yield start, (rng.standard_normal((size, COLUMNS), dtype=np.float32) * scale).astype(dtype)


def labels(rows: int, classes: int) -> Any:
    """Labels of noisy logits."""
    W = np.random.default_rng(1).standard_normal((classes, COLUMNS), dtype=np.float32)
    rng, y = np.random.default_rng(2), np.empty(rows, dtype=np.int8)
    for start, X in _blocks(rows):
        z = 2 * X @ W.T + rng.gumbel(size=(len(X), classes))
        y[start : start + len(X)] = z.argmax(axis=1)
    return y


def write_npy(dtype: Any) -> Callable[[Path, int], None]:
    """Return the function that writes rows of a dtype to a file of NumPy."""

    def write(path: Path, rows: int) -> None:
        shape = (rows, COLUMNS)
        X = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        for start, block in _blocks(rows, dtype):
            X[start : start + len(block)] = block
        X.flush()

    return write


def _write_hdf5(path: Path, rows: int) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        X = file.create_dataset("X", (rows, COLUMNS), np.float32, chunks=(1024, COLUMNS))
        for start, block in _blocks(rows):
            X[start : start + len(block)] = block


def _write_zarr(path: Path, rows: int) -> None:
    import zarr

    shape = (rows, COLUMNS)
    X = zarr.open(str(path), mode="w", shape=shape, dtype=np.float32, chunks=(8192, COLUMNS))
    for start, block in _blocks(rows):
        X[start : start + len(block)] = block


def _write_parquet(path: Path, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [f"x{j}" for j in range(COLUMNS)]
    writer = None
    for _, block in _blocks(rows):
        table = pa.table(list(np.ascontiguousarray(block.T)), names=names)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="none")
        writer.write_table(table)
    writer.close()


def _open(store: str, path: str) -> Any:
    if store.startswith("npy"):
        return np.load(path, mmap_mode="r")
    if store == "HDF5":
        import h5py

        return h5py.File(path)["X"]
    if store == "Zarr":
        import zarr

        return zarr.open(path, mode="r")
    from skce.data import from_parquet

    return from_parquet(path)


_WRITERS = {
    "npy, float32": write_npy(np.float32),
    "npy, float16": write_npy(np.float16),
    "HDF5": _write_hdf5,
    "Zarr": _write_zarr,
    "Parquet": _write_parquet,
}


def files_task(*, store: str, path: str, rows: int, classes: int, limit: float) -> dict[str, Any]:
    """Read a file, make a pass over it, and fit from it."""
    from skce import SoftmaxClassifier
    from skce._threads import threads

    del limit
    names = [Path(path)] if Path(path).is_file() else sorted(Path(path).rglob("*"))
    names = [name for name in names if name.is_file()]
    drop(names)
    start = time.perf_counter()
    for name in names:
        with name.open("rb", buffering=0) as file:
            while file.read(2**24):
                pass
    read = time.perf_counter() - start
    y = labels(rows, classes)
    X = _open(store, path)
    model = SoftmaxClassifier(tol=1e-6)
    with threads:
        objective = model._objective(*model._read(X, y, None))
        theta = np.zeros(objective.layout.size)
        del X
        drop(names)
        start = time.perf_counter()
        objective.value_gradient(theta)
        cold = time.perf_counter() - start
    del objective
    X = _open(store, path)
    start = time.perf_counter()
    with anonymous() as memory:
        fitted, _ = fit_and_watch(X, y, tol=1e-6)
    seconds, off = time.perf_counter() - start, None
    if rows < 1_000_000:
        value = SoftmaxClassifier(tol=1e-6).fit(np.asarray(X[:]), y).optimize_result_.fun
        off = abs(fitted.optimize_result_.fun - value) / value
    return {
        "status": "ok",
        "GiB": sum(name.stat().st_size for name in names) / 2**30,
        "read": read,
        "pass": cold,
        "fit": seconds,
        "passes": fitted.optimize_result_.passes,
        "memory": memory["MiB"],
        "off": off,
    }


def drop(names: list[Path]) -> None:
    """Drop the cached pages of files, so that they are read from the disk."""
    for name in names:
        with name.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
