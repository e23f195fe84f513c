"""The groups in which a graph embeds its batch: what a long text costs its neighbours, by counting cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from export.encoder import runner
from export.encoder.graph import Graph
from export.encoder.groups import CELLS, Layout, in_groups, read
from export.encoder.runner import Run

WINDOW = 512


def grid(body: Graph, layout: Layout) -> str:
    """In place of an embedding: the height and width of the item's grid, its packed rows, and the item's first id."""
    shape = body.op("Shape", layout.real)
    row = body.op("Concat", shape, body.op("Shape", layout.rows), axis=0)
    items = body.op("Gather", shape, body.constant([0]))
    rows = body.op("Expand", row, body.op("Concat", items, body.constant([3]), axis=0))
    ids = body.op("Gather", layout.grid, body.constant([0]), axis=1)
    return str(body.op("Cast", body.op("Concat", rows, ids, axis=1), to=TensorProto.FLOAT))


def saved(folder: Path, cells: int) -> Run:
    g = Graph()
    onnx.save(g.model(in_groups(g, read(g, 100, WINDOW), 4, cells, grid)), folder / "groups.onnx")
    return runner.load(folder / "groups.onnx")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return saved(tmp_path_factory.mktemp("groups"), CELLS)


def texts(*sizes: int) -> list[npt.NDArray[np.int64]]:
    """One text of each size; the first id tells them apart."""
    return [np.full(size, i % 100) for i, size in enumerate(sizes)]


def cells(grids: npt.NDArray[np.float32]) -> int:
    """The cells of all groups."""
    return int(sum(row[1] for row in grids))  # each of b items brings a b-th of b × L


def test_the_example_of_the_module_holds(tmp_path: Path) -> None:
    batch = [np.array(ids) for ids in ([5, 6, 2], [5, 2, -1], [5, 7, 8, 9, 2])]
    assert saved(tmp_path, 8)(batch).tolist() == [[2, 3, 5, 5], [2, 3, 5, 5], [1, 5, 5, 5]]


def test_a_long_text_does_not_make_short_ones_pay_for_its_length(run: Run) -> None:
    short = [10] * 63
    grids = run(texts(*short, WINDOW))
    assert cells(grids) == 63 * 10 + WINDOW  # not 64 x 512
    assert grids[-1, :2].tolist() == [1, WINDOW]
    assert cells(run(texts(*([8] * 15 + [75]) * 4))) == 60 * 8 + 4 * 75


def test_short_texts_share_a_group(run: Run) -> None:
    assert run(texts(*[CELLS // 64] * 64))[:, 0].tolist() == [64] * 64


def test_attention_never_holds_more_than_one_long_text_at_a_time(run: Run) -> None:
    assert run(texts(*[WINDOW] * 64))[:, 0].tolist() == [1] * 64


def test_padding_is_not_paid_for(run: Run) -> None:
    padded = [np.pad(text, (0, WINDOW - 10), constant_values=-1) for text in texts(*[10] * 64)]
    assert cells(run(padded)) == 64 * 10


@pytest.mark.parametrize("size", [WINDOW + 1, 100_000])
def test_a_text_beyond_the_window_is_not_a_number_and_widens_no_grid(run: Run, size: int) -> None:
    grids = run(texts(10, size, 10))
    assert np.isnan(grids[1]).all()
    assert grids[[0, 2], :3].tolist() == [[3, 10, 21]] * 2  # a third row of the grid, and one token of it


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, WINDOW), min_size=1, max_size=80))
def test_every_text_is_embedded_once_and_in_its_place(run: Run, sizes: list[int]) -> None:
    grids = run(texts(*sizes))
    assert grids[:, 3].tolist() == [i % 100 for i in range(len(sizes))]
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    while order:
        items, longest, tokens = (int(number) for number in grids[order[0], :3])
        group, order = order[:items], order[items:]
        assert longest == max(sizes[i] for i in group)
        assert tokens == sum(sizes[i] for i in group)
        assert items * longest <= CELLS or items == 1
        assert not order or (items + 1) * sizes[order[0]] > CELLS  # the next would have been too many
        assert (grids[group, :3] == grids[group[0], :3]).all()
