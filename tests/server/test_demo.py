"""`python -m server.demo`, the first thing that anyone sees of Malgil."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import malgil
import pytest
from rich.console import Console

from server import demo
from server.launcher import Server

EXPECTED = [102, 106, 110, 411, 509, 702, 903, 1101, 1301, 1802, 509, 808, 1704, 1801, 100, 106, 100, 504, 411]


def pieces(text: str) -> set[str]:
    joined = text.replace(" ", "")
    return {joined[i : i + 2] for i in range(len(joined) - 1)}


def test_every_query_of_the_demo_finds_its_service_without_a_word_of_its_name(server: Server) -> None:
    with malgil.SearchClient(server.grpc_url) as client:
        results = client.search_many(demo.QUERIES, top_k=1)
    assert [result[0].id for result in results] == EXPECTED
    for query, result in zip(demo.MEANT, results, strict=False):
        assert not pieces(query) & pieces(result[0].name), (query, result[0].name)


def test_the_demo_shows_a_row_for_every_query(server: Server) -> None:
    page = io.StringIO()
    demo.show(server.grpc_url, Console(file=page, width=200))
    for query in demo.QUERIES:
        assert query in page.getvalue()


def test_the_demo_completes_everything_that_it_begins_to_type(server: Server) -> None:
    page = io.StringIO()
    demo.show_suggestions(server.grpc_url, Console(file=page, width=200))
    rows = {
        cells[1].strip(): cells[2].strip() for line in page.getvalue().splitlines() if len(cells := line.split("│")) > 3
    }
    assert all(rows[typed] for typed in demo.BEGUN)


@pytest.mark.live
def test_the_demo_as_make_runs_it_answers_every_question_with_a_service_and_an_article() -> None:
    command = [sys.executable, "-m", "server.demo"]
    wide = {**os.environ, "COLUMNS": "250"}
    shown = subprocess.run(command, env=wide, capture_output=True, text=True, check=True, timeout=300).stdout
    rows = [line.split("│") for line in shown.split("service and help article")[1].splitlines()]
    found = {cells[1].strip(): (cells[2].strip(), cells[3].strip()) for cells in rows if len(cells) > 3}
    for question in demo.QUESTIONS:
        service, article = found[question]
        assert " > " in service
        assert article
        assert not article.startswith("("), (question, article)


def test_the_demo_runs_as_the_makefile_calls_it_and_a_wrong_address_is_one_sentence(server: Server) -> None:
    command = [sys.executable, "-m", "server.demo", "--url"]
    shown = subprocess.run([*command, server.grpc_url], capture_output=True, text=True, check=True, timeout=60)
    assert "median" in shown.stdout
    refused = subprocess.run([*command, "127.0.0.1:1"], capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 1
    assert len(refused.stderr.strip().splitlines()) == 1
