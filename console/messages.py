"""Korean sentences for what the store refuses, by the code of the problem."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from malgil_core.catalog.problems import Problem

from console.forms.fields import Errors

_OTHERWISE = "이 내용은 저장할 수 없어요. 다시 확인해 주세요."


def by_field(problems: Iterable[Problem]) -> Errors:
    """The sentences of problems, by the field that shows them."""
    errors: Errors = {}
    for problem in problems:
        errors.setdefault(problem.field, []).append(sentence(problem))
    return errors


def sentence(problem: Problem) -> str:
    """A problem in Korean."""
    found = SENTENCES.get(problem.code)
    return found(problem) if found else _OTHERWISE


def _range(problem: Problem) -> str:
    if problem.field == "threshold":
        return "-1에서 1 사이의 수로 적어 주세요. 쓰지 않으려면 비워 주세요."
    return "0 이상의 정수로 적어 주세요. 너무 큰 수는 쓸 수 없어요."


def _too_long(problem: Problem) -> str:
    size, most = problem.params.get("size", 0), problem.params.get("most", 0)
    return f"너무 길어요. {size}바이트인데 {most}바이트까지 쓸 수 있어요. 한글은 한 글자가 3바이트예요."


def _other(problem: Problem) -> str:
    """The other entry, as people know it: `service 12 (송금)` is ‘송금’(ID 12)."""
    name = str(problem.params.get("name", ""))
    if found := re.fullmatch(r"service (\d+) \((.*)\)", name, re.DOTALL):
        return f"서비스 ‘{found[2]}’(ID {found[1]})"
    return f"‘{name.removeprefix('null topic ')}’"


def _shown(value: object) -> str:
    text = str(value)
    return f"‘{text if len(text) <= 60 else text[:57] + '…'}’"


def _taken(problem: Problem) -> str:
    return f"{_shown(problem.value)}: {_other(problem)}에서 이미 쓰고 있어요. 다른 값을 적어 주세요."


SENTENCES: dict[str, Callable[[Problem], str]] = {
    "type": lambda problem: "이 칸에는 다른 모양의 값이 필요해요.",
    "range": _range,
    "missing": lambda problem: "꼭 적어 주세요.",
    "unknown": lambda problem: "카탈로그에 없는 칸이에요.",
    "too_few": lambda problem: "하나 이상 적어 주세요.",
    "empty": lambda problem: "꼭 적어 주세요.",
    "invisible": lambda problem: "눈에 보이는 글자가 없어요. 글자를 적어 주세요.",
    "surrogate": lambda problem: "깨진 글자가 있어요. 지우고 다시 적어 주세요.",
    "too_long": _too_long,
    "twice": lambda problem: (
        f"{problem.params.get('number')}번째 {_shown(problem.params.get('text'))}: 같은 것이 위에 또 있어요."
    ),
    "unknown_parent": lambda problem: f"ID가 {problem.value}인 서비스가 없어요. 목록에서 골라 주세요.",
    "cycle": lambda problem: "자기 자신이나 자기 아래에 있는 서비스는 상위 서비스가 될 수 없어요.",
    "taken": _taken,
    "name_taken": _taken,
    "null_taken": lambda problem: f"{_shown(problem.value)}: ‘앱에 없는 것’ {_other(problem)}에 이미 있어요.",
    "null_is_service": lambda problem: (
        f"{_shown(problem.value)}: {_other(problem)}의 이름이나 학습 데이터예요. 한쪽에서만 쓸 수 있어요."
    ),
    "service_is_null": lambda problem: (
        f"{_shown(problem.value)}: ‘앱에 없는 것’ {_other(problem)}에 있는 문장이에요. 한쪽에서만 쓸 수 있어요."
    ),
    "has_children": lambda problem: "아래에 서비스가 있어서 지울 수 없어요. 먼저 옮기거나 지워 주세요.",
}
