"""Accounts of the console, and its test sets."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, insert, select, update

from store import schema
from store.errors import NotFoundError, StoreError
from store.types import ROLES, Account, Role, TestSet
from store.writing import MAX_NAME_BYTES, Writable, check_text

MAX_ACCOUNT_BYTES = 64
MAX_TEST_SET_BYTES = 10_000_000


class Accounts(Writable):
    """A store's accounts. The history tells who changed them, and nothing of passwords."""

    def save_account(
        self, name: str, role: Role, password_hash: str | None = None, *, by: str, active: bool = True
    ) -> Account:
        """Add an account, or change one.

        Args:
            name: what it logs in with, at most 64 bytes.
            role: "read", "edit" or "publish".
            password_hash: kept as it is; None leaves the present one, which a new account does not have.
            by: who does it.
            active: whether it may log in.

        Raises:
            StoreError: name or role cannot be used.
        """
        check_text("name", name, MAX_ACCOUNT_BYTES)
        if role not in ROLES:
            raise StoreError(f"role is {str(role)[:40]!r}: it must be one of {', '.join(ROLES)}")
        table = schema.accounts
        with self._writing(by) as writer:
            old = writer.connection.execute(select(table).where(table.c.name == name)).one_or_none()
            values: dict[str, Any] = {"role": role, "active": active}
            if password_hash is not None:
                values["password_hash"] = password_hash
            if old is None:
                made = {"name": name, "created_at": writer.at, "password_hash": None, **values}
                writer.connection.execute(insert(table), [made])
            else:
                writer.connection.execute(update(table).where(table.c.name == name).values(**values))
            writer.record(
                "change" if old else "create", "account", name,
                before={"role": old.role, "active": old.active} if old else None,
                after={"role": role, "active": active}, note="password set" if password_hash is not None else "",
            )  # fmt: skip
            return Account(name, role, active, old.created_at if old else writer.at)

    def remove_account(self, name: str, *, by: str) -> None:
        """Remove an account.

        Raises:
            NotFoundError: there is none of this name.
        """
        table = schema.accounts
        with self._writing(by) as writer:
            old = writer.connection.execute(select(table).where(table.c.name == name)).one_or_none()
            if old is None:
                raise NotFoundError("there is no such account")
            writer.connection.execute(delete(table).where(table.c.name == name))
            writer.record("delete", "account", name, before={"role": old.role, "active": old.active})


class TestSets(Writable):
    """A store's test sets."""

    __test__ = False  # for pytest: no class of tests

    def save_test_set(self, name: str, content: bytes, by: str) -> TestSet:
        """Add a test set, or replace the one of this name.

        Args:
            name: of the set.
            content: JSON Lines of labelled queries; whether they are such, the caller checks.
            by: who does it.

        Raises:
            StoreError: the name cannot be used, or the content is too long or no UTF-8.
        """
        check_text("name", name, MAX_NAME_BYTES)
        if len(content) > MAX_TEST_SET_BYTES:
            raise StoreError(f"the test set is {len(content)} bytes long: at most {MAX_TEST_SET_BYTES} are taken")
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise StoreError(f"the test set is not UTF-8: {error.reason} at byte {error.start}") from None
        table = schema.test_sets
        with self._writing(by) as writer:
            there = writer.connection.execute(select(table.c.name).where(table.c.name == name)).first()
            values: dict[str, Any] = {"content": content, "changed_at": writer.at, "changed_by": by}
            if there:
                writer.connection.execute(update(table).where(table.c.name == name).values(**values))
            else:
                writer.connection.execute(insert(table), [{"name": name, **values}])
            lines = len([line for line in content.split(b"\n") if line.strip()])
            writer.record("change" if there else "create", "tests", name, note=f"{lines} queries")
            return TestSet(name, content, writer.at, by)

    def delete_test_set(self, name: str, *, by: str) -> None:
        """Delete a test set.

        Raises:
            NotFoundError: there is none of this name.
        """
        table = schema.test_sets
        with self._writing(by) as writer:
            if not writer.connection.execute(delete(table).where(table.c.name == name)).rowcount:
                raise NotFoundError("there is no such test set")
            writer.record("delete", "tests", name)
