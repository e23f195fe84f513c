"""The documents of files and folders: JSON Lines, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from documents import pages
from documents.errors import DocumentsError, RecordError
from documents.records import Place, Record, Refuse, read_lines, record

PARSERS = {".md": pages.markdown, ".markdown": pages.markdown, ".html": pages.html, ".htm": pages.html}
LINES = (".jsonl", ".ndjson", ".json")


def read(paths: Sequence[Path], refuse: Refuse) -> Iterator[tuple[Place, Record]]:
    """The documents of files and folders, each id once.

    Args:
        paths: JSON Lines files; Markdown and HTML pages; folders, of which all pages and JSON Lines files are read.
        refuse: called for what is no document; the rest goes on.

    Raises:
        DocumentsError: a path is neither, or is not there.
    """
    places: dict[str, Place] = {}
    for path in paths:
        if not path.exists():
            raise DocumentsError(f"{path} is not there")
        if path.is_file() and path.suffix.lower() not in (*PARSERS, *LINES):
            raise DocumentsError(f"{path} ends in none of {', '.join((*LINES, *PARSERS))}")
    for path in paths:
        root = path if path.is_dir() else path.parent
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            for place, found in _read(file, root, refuse):
                earlier = places.setdefault(found.id, place)
                if earlier == place:
                    yield place, found
                else:
                    refuse(place, f"id {found.id!r} stands in {earlier} already")


def _read(file: Path, root: Path, refuse: Refuse) -> Iterator[tuple[Place, Record]]:
    suffix = file.suffix.lower()
    try:
        if suffix in LINES and file.is_file():
            yield from read_lines(file, refuse)
        elif suffix in PARSERS and file.is_file():
            yield str(file), _page(file, root)
    except RecordError as error:
        refuse(str(file), str(error))
    except OSError as error:
        refuse(str(file), str(error.strerror))


def _page(file: Path, root: Path) -> Record:
    """A page; its id is its path in the folder without the ending, and its title its file's name, if it has none."""
    size = file.stat().st_size
    if size > pages.MAX_PAGE_BYTES:
        raise RecordError(f"{size} bytes long: at most {pages.MAX_PAGE_BYTES} are taken")
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordError(f"not UTF-8: {error.reason} at byte {error.start}") from None
    fields = PARSERS[file.suffix.lower()](text)
    name = file.relative_to(root).with_suffix("").as_posix()
    return record({"id": name, **fields, "title": fields.get("title") or file.stem})
