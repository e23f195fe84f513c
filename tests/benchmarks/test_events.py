"""`python -m benchmarks events`: that it would see a lost event, and what its page says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from malgil_core.events.types import parse_event

from benchmarks.__main__ import main
from benchmarks.events.cli import page
from benchmarks.events.sender import TYPES, batches, line, number_of


def test_every_number_has_an_event_of_its_own_that_tells_it() -> None:
    for number in (0, 1, 2, 3, 64, 999_999):
        event = parse_event(line(number, 1_764_421_500_000))
        assert number_of(event) == number
        assert event.type == TYPES[number % 3]
    assert [len(batch) for batch in batches(5, 130)] == [64, 64, 2]


@pytest.mark.live
@pytest.mark.slow
def test_events_through_a_live_server_are_counted_and_searches_beside_them_are_timed(tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    command = ["events", "--events", "5000", "--rates", "300,1500", "--pairs", "1", "--seconds", "1", "--note", "Busy."]
    assert main([*command, "--json", str(file)]) == 0
    result = json.loads(file.read_text(encoding="utf-8"))
    assert (result["lost"], result["dropped"], result["failed"], result["doubled"], result["left_open"]) == (0,) * 5
    assert result["events"] == 5000
    assert [(pair["wanted"], pair["rate"] <= 1.2 * pair["wanted"]) for pair in result["pairs"]] == [
        (300, True),
        (1500, True),
    ]
    assert all(pair["without_ms"] > 0 and pair["searches"] > 2 for pair in result["pairs"])
    assert 10 < result["bytes_per_event"] < 500
    assert file.with_suffix(".md").read_text(encoding="utf-8") == page(result)
    assert "Busy." in page(result)
    assert "| lost, of those that the server took | 0 |" in page(result)
    assert "| p50 of a search beside 1,500 events/s, over without | " in page(result)
