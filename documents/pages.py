"""Documents in Markdown and HTML files: their text, without markup."""

from __future__ import annotations

import re
from typing import Any

import yaml
from selectolax.lexbor import LexborHTMLParser

from documents.errors import RecordError

MAX_PAGE_BYTES = 2**19
MAX_MARKS = 20_000  # tags of an HTML page, and marks of a Markdown page: what parsers take quadratic time for
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)?---[ \t]*(?:\n|\Z)", re.DOTALL)
_BLOCKS = "address,article,aside,blockquote,br,dd,div,dl,dt,figure,form,h1,h2,h3,h4,h5,h6,hr,li,main,ol,p,pre,section"
_BLOCKS += ",table,td,th,tr,ul"
_SKIPPED = "title,script,style,template,noscript,nav,header,footer,svg,select,button"
_TEXTS = ("id", "url", "category", "updated_at")
_LISTS = ("surfaces", "service_ids")


def markdown(text: str) -> dict[str, Any]:
    """The fields of a Markdown page: those of its front matter, its first heading as title, and its text as body.

    Raises:
        RecordError: the front matter is no YAML object, or the page has too many marks.
    """
    from markdown_it import MarkdownIt

    _check(text, re.compile(r"[][*_`<>!~\\|\n]"), "marks and lines")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    fields: dict[str, Any] = {}
    if match := _FRONT_MATTER.match(text):
        fields, text = _front_matter(match.group(1) or ""), text[match.end() :]
    lines: list[str] = []
    title = ""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "inline":
            line = "".join(_text_of(child) for child in token.children or ())
            if not title and before is not None and before.type == "heading_open":
                title = line
            else:
                lines.append(line)
        elif token.type in ("fence", "code_block"):
            lines.append(token.content)
    return {"title": title, **fields, "body": "\n".join(lines)}


def _text_of(token: Any) -> str:
    if token.type in ("softbreak", "hardbreak"):
        return "\n" if token.type == "hardbreak" else " "
    return "" if token.type == "html_inline" else str(token.content)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML without references, whose nesting can grow without bound, and with dates left as text."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise RecordError("the front matter holds a YAML reference, which is not taken")
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _front_matter(text: str) -> dict[str, Any]:
    try:
        value = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecordError(f"the front matter is not YAML: {' '.join(str(error).split())[:120]}") from None
    if not isinstance(value, dict | None):
        raise RecordError(f"the front matter is {type(value).__name__}: it must have a field on each line")
    if any(not isinstance(name, str) for name in value or ()):
        raise RecordError("the front matter has a field whose name is no text")
    return value or {}


def html(text: str) -> dict[str, Any]:
    """The fields of an HTML page: `<title>`, the text of its body, the canonical link, and `<meta>` of a field's name.

    Raises:
        RecordError: the page has too many tags.
    """
    _check(text, re.compile("<"), "tags")
    page = LexborHTMLParser(text)
    fields: dict[str, Any] = {}
    for meta in page.css("meta[name]"):
        name, content = meta.attributes.get("name") or "", meta.attributes.get("content") or ""
        if name == "phrases":  # a phrase may hold commas: one tag for each
            fields.setdefault(name, []).append(content)
        elif name in _LISTS:
            fields[name] = [part.strip() for part in content.split(",") if part.strip()]
        elif name in _TEXTS:
            fields[name] = content
    if (link := page.css_first("link[rel=canonical]")) is not None:
        fields.setdefault("url", link.attributes.get("href") or "")
    title = page.css_first("title")
    fields["title"] = "" if title is None else title.text()
    for node in page.css(_SKIPPED):
        node.decompose()
    for node in page.css(_BLOCKS):
        node.insert_before("\n")
        node.insert_after("\n")
    body = "" if page.body is None else page.body.text()
    lines = (" ".join(line.split()) for line in body.split("\n"))
    return {**fields, "body": "\n".join(line for line in lines if line)}


def _check(text: str, mark: re.Pattern[str], name: str) -> None:
    count = sum(1 for _ in mark.finditer(text))
    if count > MAX_MARKS:
        raise RecordError(f"the page has {count} {name}: at most {MAX_MARKS} are taken")
