"""What the tests of exports share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def one_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """Small encoders take half the time on one thread; those of full shape keep them all."""
    import torch

    before = torch.get_num_threads()
    if request.node.get_closest_marker("full") is None:
        torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
