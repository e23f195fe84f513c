"""A spreadsheet that opens a file of the console runs nothing of it."""

from __future__ import annotations

import csv
import io

import pytest

from console.security.cells import safe_row
from store.store import Store
from tests.console.conftest import Person


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1+1", "　=1"])
def test_a_text_that_a_spreadsheet_takes_for_a_formula_is_quoted(text: str) -> None:
    assert safe_row([text]) == [f"'{text}"]


def test_texts_and_numbers_that_are_no_formula_stay_as_they_are() -> None:
    assert safe_row(["이체", "a=1", "", None, 3, -0.5]) == ["이체", "a=1", "", "", 3, -0.5]


def test_a_formula_in_a_field_of_a_service_is_harmless_in_the_table_of_services(me: Person, store: Store) -> None:
    form = me.form("/services/100")
    evil = '=HYPERLINK("http://evil.example","click")'
    assert me.send("/services/100", {**form, "memo": evil, "name": "+송금"}).status_code == 303
    rows = list(csv.DictReader(io.StringIO(me.http.get("/services.csv").content.decode("utf-8-sig"))))
    row = next(row for row in rows if row["ID"] == "100")
    assert row["메모"] == f"'{evil}"
    assert row["이름"] == "'+송금"
    assert len(rows) == 150
    audit = me.http.get("/audit.csv").content.decode("utf-8-sig")
    assert not any(cell.startswith(("=", "+", "@")) for row in csv.reader(io.StringIO(audit)) for cell in row)
