"""Accounts and test sets: kept as they were saved, and their changes told in the history, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from store.errors import NotFoundError, StoreError
from store.store import Store


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    with Store.open(database) as store:
        yield store


def test_an_account_keeps_its_password_while_its_role_changes_and_the_history_shows_none_of_it(store: Store) -> None:
    made = store.save_account("민지", "read", "$argon2id$secret", by="root")
    changed = store.save_account("민지", "publish", by="root", active=False)
    assert (changed.role, changed.active, changed.created_at) == ("publish", False, made.created_at)
    assert store.account("민지") == changed
    assert store.accounts() == [changed]
    assert store.password_hash("민지") == "$argon2id$secret"
    assert "argon2" not in repr(store.history())
    assert store.revision() == 0
    store.remove_account("민지", by="root")
    assert store.password_hash("민지") is None
    for missing in (store.account, lambda name: store.remove_account(name, by="root")):
        with pytest.raises(NotFoundError):
            missing("민지")
    with pytest.raises(StoreError, match="role"):
        store.save_account("민지", "owner", by="root")  # type: ignore[arg-type]


def test_a_test_set_is_replaced_by_its_name_and_found_by_it(store: Store) -> None:
    store.save_test_set("둘", b"{}\n{}\n", by="kim")
    store.save_test_set("하나", b"{}\n", by="kim")
    saved = store.save_test_set("둘", '{}\n\n{"가": 1}\n'.encode(), by="lee")
    assert store.test_set_names() == [one.name for one in store.test_sets()] == ["둘", "하나"]
    assert store.test_set("둘") == saved
    assert [(change.action, change.note) for change in store.history(kind="tests", limit=1)] == [
        ("change", "2 queries")
    ]
    store.delete_test_set("둘", by="kim")
    with pytest.raises(NotFoundError):
        store.test_set("둘")
    with pytest.raises(NotFoundError):
        store.delete_test_set("둘", by="kim")
