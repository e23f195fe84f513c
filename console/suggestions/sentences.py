"""Korean sentences on suggestions: what happens, why there are none, what speaks against a phrase."""

from __future__ import annotations

from collections.abc import Mapping

from export.suggest.errors import Code
from export.suggest.progress import Step
from export.suggest.proposals import Proposal, Verdict
from export.suggest.wording import LONGEST, SHORTEST

_TELL = "관리자에게 알려 주세요."
FAULTS: Mapping[Code, str] = {
    "settings": f"언어 모델의 주소나 이름 설정을 쓸 수 없어요. {_TELL}",
    "prompt": f"언어 모델에 보낼 글(프롬프트) 파일을 쓸 수 없어요. {_TELL}",
    "unreachable": "언어 모델에 연결할 수 없어요. 잠시 뒤에 다시 해 보고, 계속되면 관리자에게 알려 주세요.",
    "timeout": "언어 모델이 제시간에 답하지 않았어요. 잠시 뒤에 다시 해 주세요.",
    "key": f"언어 모델이 키를 받아들이지 않았어요. {_TELL}",
    "model": f"설정한 이름의 언어 모델이 그 주소에 없어요. {_TELL}",
    "busy": "언어 모델에 요청이 몰려 있거나 쓸 수 있는 양을 다 썼어요. 잠시 뒤에 다시 해 주세요.",
    "server": "언어 모델 쪽에 문제가 생겼어요. 잠시 뒤에 다시 해 주세요.",
    "refused": f"언어 모델이 이 요청을 거절했어요. 되풀이되면 {_TELL}",
    "protocol": f"언어 모델의 답이 약속한 형식이 아니에요. 주소가 맞는지 {_TELL}",
    "encoding": f"언어 모델의 답에 깨진 글자가 있어서 읽을 수 없어요. 되풀이되면 {_TELL}",
    "empty": "언어 모델이 빈 답을 보냈어요. 다시 해 주세요.",
    "cut": "첫 문장이 다 오기도 전에 언어 모델의 답이 끊겼어요. 다시 해 주세요.",
    "unusable": "언어 모델의 답에 쓸 수 있는 한국어 문장이 없었어요. 다시 해 보고, 되풀이되면 관리자에게 알려 주세요.",
    "cancelled": "제안받기를 그만뒀어요.",
}
STEPS: Mapping[str, str] = {
    "embedding": "카탈로그의 문장을 살펴보고 있어요.",
    "asking": "언어 모델의 답을 기다리고 있어요.",
    "again": "언어 모델이 바빠서, 조금 기다렸다가 다시 물어보고 있어요.",
    "plain": "답의 형식을 정하지 않고 다시 물어보고 있어요.",
    "answering": "답을 받고 있어요({step.amount:,}자).",
    "checking": "받은 문장을 다른 서비스의 문장과 견줘 보고 있어요.",
}
CUT = "언어 모델의 답이 도중에 끊겨서, 다 온 문장만 보여 줘요."
NOTHING_NEW = "새 문장이 없었어요. 이미 결정한 문장만 다시 나왔어요."
VERDICTS: Mapping[Verdict, str] = {
    "good": "겹치거나 헷갈릴 만한 문장이 없어요.",
    "unprintable": "사람들이 입력하지 않는 글자나 기호가 있어요.",
    "not_korean": "한국어 문장이 아니에요.",
    "latin": "카탈로그에 없는 영어 낱말이 있어요: {one.detail}",
    "short": f"너무 짧아요. {SHORTEST}자보다 짧은 문장은 아무 데나 걸리기 쉬워요.",
    "long": f"너무 길어요. 사람들은 {LONGEST}자보다 길게 찾지 않아요.",
    "duplicate": "이미 있는 문장이에요: {one.detail}",
    "null_duplicate": "‘앱에 없는 것’에 이미 있는 문장이에요: {one.detail}",
    "nearer_other": "이 서비스보다 다른 서비스 ‘{one.other.name}’에 더 가까워요.",
    "nearer_null": "이 서비스보다 ‘앱에 없는 것’ 주제 ‘{one.other.name}’에 더 가까워요.",
}


def step(told: Step) -> str:
    """What happens now."""
    return STEPS[told.code].format(step=told)


def verdict(one: Proposal) -> str:
    """What speaks against a proposal, or that nothing does."""
    return VERDICTS[one.verdict].format(one=one)
