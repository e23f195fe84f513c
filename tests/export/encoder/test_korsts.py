"""The KorSTS figure: rows as the file has them, and a rank correlation of cosines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.encoder import korsts


def test_quotes_in_sentences_do_not_swallow_rows(tmp_path: Path) -> None:
    path = tmp_path / "sts-test.tsv"
    path.write_text(
        "genre\tfilename\tyear\tid\tscore\tsentence1\tsentence2\n"
        'g\tf\t2020\t1\t3.5\t"그는 말했다\t그가 말했다\n'
        "g\tf\t2020\t2\t0.0\t비가 온다\t돈을 보낸다\n"
    )
    assert korsts.read(path) == (['"그는 말했다', "비가 온다"], ["그가 말했다", "돈을 보낸다"], [3.5, 0.0])


def test_the_figure_is_a_rank_correlation_of_cosines_not_of_lengths() -> None:
    angles = np.array([0.1, 0.5, 1.0, 2.0])
    first = np.tile(np.array([[1.0, 0.0]], np.float32), (4, 1))
    second = np.stack([np.cos(angles), np.sin(angles)], 1) * np.array([[1], [9], [2], [40]])
    assert korsts.correlation(first, second, [4, 3, 2, 0]) == pytest.approx(100)
    assert korsts.correlation(first, second, [0, 2, 3, 4]) == pytest.approx(-100)
