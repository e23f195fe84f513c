"""Damaged files, and the check that a reader refuses each with the error it promises, or reads it as valid."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

T = TypeVar("T")
# The same examples on every machine: an unlucky draw must not fail somebody else's change.
BOUNDED = settings(max_examples=120, deadline=None, derandomize=True)

_HOLE = "@hole@"
_ODD = (  # JSON that is none, or that Python's reader takes and its user may not
    "null", "true", "false", "0", "-1", "1", "-0.0", "0.5", "1e999", "-1e999", "NaN", "Infinity", "1.0",
    str(2**31), str(2**63), str(-(2**63) - 1), str(2**64), "9" * 400, "9" * 5000, "1e-400",
    '""', '" "', '"\\u0000"', '"\\ud800"', '"\\udc00 \\ud83d"', '"\\uffff"', '"\\ufeff"', '"x"',
    '"/dev/zero"', '"../.."',
    '"' + "가" * 5000 + '"', "[]", "[[]]", "{}", '{"": null}', '{"a": 1, "a": 2}', "[null]", "[NaN]", '["a", "a"]',
    "[" * 500 + "]" * 500, "[" * 100_000, '{"a":' * 100_000, "", "nul", "'x'", "01", "+1", "0x1", '"\t"', '"\\x"',
)  # fmt: skip
_BYTES = (b"\0", b"\xff", b"\xed\xa0\x80", b"\xc3", b"\xef\xbb\xbf", b"\n", b"\r\n", b'"', b"{", b"\xf4\x90\x80\x80")


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """A file with some of its bytes cut off, turned, overwritten, put in, doubled, swapped, or all of them gone."""
    size = len(content)
    at = st.integers(0, max(size - 1, 0))
    # Sizes and offsets stand in the first bytes of many formats: they are hit as often as all the rest.
    place = at | st.integers(0, max(min(size - 1, 80), 0))
    junk = st.sampled_from(_BYTES) | st.binary(min_size=1, max_size=9) | st.sampled_from([b"\xff" * 8, b"\0" * 8])

    def turned(i: int, bit: int) -> bytes:
        return content[:i] + bytes([content[i] ^ 1 << bit]) + content[i + 1 :]

    def swapped(i: int, j: int, n: int) -> bytes:
        i, j = sorted((i, j))
        n = min(n, j - i, size - j)
        return content[:i] + content[j : j + n] + content[i + n : j] + content[i : i + n] + content[j + n :]

    return st.one_of(
        st.builds(lambda i: content[:i], place),
        st.builds(lambda i: content[i:], place),
        st.builds(turned, place, st.integers(0, 7)),
        st.builds(lambda i, more: content[:i] + more + content[i:], place, junk),
        st.builds(lambda i, more: content[:i] + more + content[i + len(more) :], place, junk),
        st.builds(lambda i, j: content[: max(i, j)] + content[min(i, j) :], place, at),
        st.builds(swapped, at, at, st.integers(1, 16)),
        st.just(b""),
    )


def odd_json(value: Any) -> st.SearchStrategy[bytes]:
    """A JSON text like this one, with one value replaced, removed or named twice, or its bytes damaged."""
    text = json.dumps(value, ensure_ascii=False).encode()
    paths = st.sampled_from(list(_paths(value)))
    fragments = st.sampled_from(_ODD)

    def replaced(path: tuple[Any, ...], fragment: str) -> bytes:
        changed = _changed(value, path, lambda _: _HOLE)
        return json.dumps(changed, ensure_ascii=False).replace(f'"{_HOLE}"', fragment).encode()

    def named_twice(path: tuple[Any, ...], fragment: str) -> bytes:
        def again(part: Any) -> Any:
            return {**part, _HOLE: next(iter(part))} if isinstance(part, dict) and part else part

        changed = json.dumps(_changed(value, path, again), ensure_ascii=False)
        start = changed.find(f'"{_HOLE}": ')
        if start < 0:
            return changed.encode()
        name, end = json.JSONDecoder().raw_decode(changed, start + len(_HOLE) + 4)
        return f"{changed[:start]}{json.dumps(name)}: {fragment}{changed[end:]}".encode()

    return st.one_of(
        st.builds(replaced, paths, fragments),
        st.builds(replaced, paths, fragments),
        st.builds(named_twice, paths, fragments),
        st.builds(lambda path: json.dumps(_without(value, path)).encode(), paths),
        damaged(text),
    )


def error_of(
    read: Callable[[], T],
    error: type[Exception] | tuple[type[Exception], ...],
    check: Callable[[T], object] = lambda _: None,
) -> str | None:
    """A reader's sentence about a file; None if it is valid after all. Any other exception is raised.

    `check` uses what was read as its users do: an error there means that the reader let something through.
    """
    try:
        found = read()
    except error as refused:
        sentence = str(refused)
        assert sentence.strip(), "an error without a sentence"
        assert "Traceback" not in sentence
        sentence.encode()  # can be printed and logged
        assert len(sentence) < 2000, "a sentence, not the file"
        return sentence
    check(found)
    return None


def _paths(value: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = [()]
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        found += [(key, *rest) for rest in _paths(child)]
    return found


def _changed(value: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    copied = value.copy()
    copied[path[0]] = _changed(value[path[0]], path[1:], change)
    return copied


def _without(value: Any, path: tuple[Any, ...]) -> Any:
    def drop(parent: Any) -> Any:
        copied = parent.copy()
        del copied[path[-1]]
        return copied

    return _changed(value, path[:-1], drop) if path else None
