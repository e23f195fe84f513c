"""Content words that a question shares with an article, by syllables: an approximation without a tokenizer.

A question is cut at spaces and signs, and FUNCTION_WORDS are dropped. The longest of ENDINGS is cut off each word that
keeps a syllable. A word is shared if the article has

- two neighbouring syllables of what is left, or the word's first two, inside one word: 계좌를 is in 입출금계좌로;
- or, where one syllable is left, a word that is this syllable once cut the same way: 돈을 and 돈이.

The final consonant of the last of several syllables is not compared, so that 보내 is found in 보낸.

It is too strict where syllables meet by chance, and blind to contracted stems (부쳐, 부치), to single syllables inside
longer words (폰, 휴대폰), and to words that FUNCTION_WORDS takes out, adverbs among them.
"""

from __future__ import annotations

import re
from itertools import pairwise

# Pronouns, question words, dependent nouns, auxiliary and light verbs, conjunctions, adverbs of degree and manner.
FUNCTION_WORDS = frozenset(
    """
    나 내 내가 난 날 나는 나도 나한테 저 제 제가 전 저는 저도 저희 우리 너 네 이 그 이거 그거 저거 이건 그건 이게 그게
    이걸 그걸 여기 거기 저기 여기서 거기서 이런 그런 저런 이렇게 그렇게 어떤 어떻게 어떡해 어떡하죠 어떡하지 어째
    어쩌죠 어쩌나 어쩌지 어찌 왜 뭐 뭐가 뭘 뭔 뭔지 뭔가 뭐죠 뭐예요 뭐야 뭐지 무슨 무엇 누구 누가 누구한테 어디 어디서
    어디에 어디로 어딨어 어디예요 어디야 언제 언제까지 언제쯤 언제부터 얼마 얼마나 얼마예요 얼마야 얼마까지 몇 몇번 것
    거 건 게 걸 거는 것도 거도 거야 거예요 건가요 건데 건지 거죠 수 줄 때 데 뿐 만큼 대로 채 적 리 지 번 중 분 하다 해
    해요 해도 해서 해야 해줘 해줘요 하면 하고 하나 하나요 하는 하려면 하려고 하는데 하지 했는데 했어 했어요 한 할 함
    한데 한대요 한다 한다고 할까 할까요 하게 하네 하네요 하던데 합니다 하죠 했더니 하려는데 되다 돼 돼요 돼서 되나
    되나요 되는 되는데 되는지 되면 되고 되죠 되지 되네 된 될 될까 될까요 된대 된대요 됐는데 됐어 됐어요 됩니까 된다는데
    되게 되려면 있다 있어 있어요 있나 있나요 있는 있는데 있는지 있으면 있고 있죠 있지 있을까 있을까요 있는데요 있대요
    있던데 있었는데 있게 있어야 없다 없어 없어요 없나 없나요 없는 없는데 없이 없으면 없고 없죠 없을까 없을까요 없던데
    없어서 없네 없네요 없대요 이다 아니다 아니 아니고 아닌 아닌데 아닌가요 않고 않아 않아요 않게 않는 않는데 않나요
    않으면 못 안 못해 못해요 못하는 못하게 못하나요 싶다 싶어 싶어요 싶은데 싶은데요 싶으면 싶을 주다 줘 줘요 줘서
    주세요 주나 주나요 주는 주는데 주면 줄까 줄래 준대 준대요 줬는데 줬어요 주지 주던데 주죠 보다 봐 봐요 봤는데 봐도
    봐야 보고 보니 보면 보게 볼까 볼까요 볼래 가다 가 가요 가나 가나요 가는 가는데 가면 가야 간 갈 갔는데 오다 와 와요
    오나 오나요 오는 오는데 오면 온 올 왔는데 왔어요 두고 둔 둘 두면 놓고 놓은 놔 버려 버렸는데 버려서 버리면 버렸어
    버렸어요 말고 말 말아 마 좀 더 또 다 잘 꼭 막 딱 참 그냥 그럼 그러면 그런데 근데 그래서 그래도 그리고 혹시 만약
    아주 너무 제일 이미 새 새로 아직 아까 자꾸 계속 다시 바로 따로 같이 함께 많이 조금 도대체 대체 무조건 따라 대해
    위해 때문 때문에 및 또는 등 ㅠ ㅠㅠ ㅜㅜ ㅋㅋ ㅎㅎ
    """.split()
)
# What is left of those when an ending is cut off.
FUNCTION_STEMS = frozenset(
    "하 해 했 되 돼 됐 있 없 않 싶 이 그 저 주 줘 줬 보 봐 봤 가 갔 오 와 왔 두 놓 놔 말".split()
)

# Particles, and endings of verbs and adjectives.
ENDINGS = tuple(
    sorted(
        """
        이 가 은 는 을 를 의 에 에서 에게 한테 한테서 께 께서 로 으로 와 과 랑 이랑 하고 도 만 만도 까지 부터 마다 밖에
        조차 마저 처럼 보다 이라 라 이라도 라도 이나 나 이든 든 들 들이 들은 들을 들도 들한테 에도 에는 에만 에선
        에게서 으로도 로도 로는 으로는 로만 까지만 까지는 부터는 한테는 한테도 에서도 에서는 만은 인데 인데요 인지
        이에요 예요 이야 야 이죠 죠 이요 요 인가요 인가 이라서 라서 이라고 라고 이라는 라는 이라면 라면 인 이면 면
        씩 쯤 째 짜리 다 고 며 면서 면서도 지 지만 자 자마자 거나 거든 게 게끔 도록 려고 려면 으려고 으려면 려는데
        으려는데 러 으러 니 니까 으니까 아 어 아요 어요 아서 어서 아도 어도 아야 어야 았 었 았는데 었는데 았어 었어
        았어요 었어요 았더니 었더니 았으면 었으면 았던 었던 았다가 었다가 는데 는데도 은데 은데요 는데요 는지 은지 을지
        던 던데 더라 더라고 더니 다가 다고 다는 다는데 는다 는다고 는다는데 는대 는대요 대 대요 래 래요 네 네요 나요 냐
        냐고 을까 을까요 을래 을래요 을게 을게요 겠 겠어 겠어요 겠는데 습니다 습니까 세요 으세요 시 시는 셔 셨
        셨는데 기 기가 기는 기만 기도 기를 음 음을 구나 군 군요 하다 해 해요 해서 해도 해야 해줘 하면 하게 하나 하나요
        하는 하는데 하는지 하지 하려고 하려면 하려는데 한 한데 할 할까 할까요 할래 합니다 했 했는데 했어 했어요 했다가
        하기 하긴 하네 하네요 하던 하던데 하길래 했더니 했었는데 하래요 한대 한대요 한다 한다고 되나 되나요 되는 되는데
        되면 되고 돼 돼요 된 될 될까 될까요 됐 됐는데 됐어 됐어요 되게 되지 시키 시켜 시킬 스러운 스럽 롭 적 적인
        적으로
        """.split(),
        key=len,
        reverse=True,
    )
)


def open_syllable(syllable: str) -> str:
    """A Hangul syllable without its final consonant; anything else as it is."""
    place = ord(syllable) - ord("가")
    return chr(ord(syllable) - place % 28) if 0 <= place <= ord("힣") - ord("가") else syllable


def stem(word: str) -> str:
    """A word without the longest ending that leaves a syllable."""
    return next((word[: -len(ending)] for ending in ENDINGS if word.endswith(ending) and len(word) > len(ending)), word)


def words(text: str) -> list[str]:
    """Runs of letters and of digits, in lower case."""
    return re.findall(r"[^\W\d_]+|\d+", text.lower())


def pairs(word: str) -> set[str]:
    """Neighbouring characters; the second also without its final consonant."""
    return {a + c for a, b in pairwise(word) for c in (b, open_syllable(b))}


def content(text: str) -> list[str]:
    """The words of a question that are not function words."""
    return [word for word in words(text) if word not in FUNCTION_WORDS]


def shared(question: str, article: str) -> list[str]:
    """The words of a question that an article shares, as described above."""
    whole = words(article)
    standing = {pair for word in whole for pair in pairs(word)}
    single = {stem(word) for word in whole} - FUNCTION_WORDS - FUNCTION_STEMS
    return [word for word in content(question) if stem(word) in single or _compared(word) & standing]


def _compared(word: str) -> set[str]:
    """The pairs of syllables by which a word is looked for: those of its stem, and its first two, 이자 being no 이."""
    cut = stem(word)
    inner = {a + b for a, b in pairwise(cut)}
    return inner | ({cut[-2] + open_syllable(cut[-1])} if len(cut) > 1 else set()) | {word[:2]}
