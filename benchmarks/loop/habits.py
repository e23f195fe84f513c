"""Habits of invented people, and short queries that mean another service to each of them.

Written by hand over the sample catalog, with the ten hits of each query in view and without any figure of what is
learned. A habit is the services that such people use more than others do. A query's meanings are those of its ten hits
that somebody may mean by it, the menu itself among them: what the search does not show, no order can bring.
"""

from __future__ import annotations

# Habit → ids of the services that these people use more than others do.
HABITS: dict[str, tuple[int, ...]] = {
    "shop owner": (101, 209, 405, 504, 801, 905, 1005, 1601, 1602, 1803, 1804),
    "student": (107, 202, 206, 210, 401, 403, 503, 804, 805, 806, 807, 808, 1102, 1103),
    "investor": (201, 301, 510, 603, 605, 606, 607, 608, 610, 611),
    "parent": (302, 303, 304, 701, 702, 1002, 1501, 1502, 1503),
    "traveller": (306, 410, 411, 412, 704, 901, 903, 904, 906),
    "retiree": (102, 111, 203, 204, 205, 211, 406, 413, 508, 703, 1004, 1007, 1701, 1704),
    "tenant": (103, 104, 108, 109, 110, 501, 1001, 1003, 1201, 1302, 1303),
    "office worker": (208, 402, 404, 407, 502, 507, 509, 705, 802, 1006, 1400, 1403),
}
# Ids of menus, which everybody means now and then.
MENUS = frozenset({100, 200, 300, 400, 500, 700, 800, 900, 1000})

# Query → ids of the services that may be meant.
TYPED: dict[str, tuple[int, ...]] = {
    "카드": (400, 401, 404, 405, 406, 407, 410, 411, 413, 1502),
    "내역": (108, 208, 209, 405, 607, 608, 701, 806),
    "한도": (110, 304, 407, 409, 410, 501, 502, 504),
    "신청": (111, 201, 209, 401, 402, 702, 901, 1003),
    "보험": (700, 701, 702, 703, 704, 705),
    "대출": (500, 501, 502, 503, 507, 508, 509, 510, 1203),
    "세금": (1000, 1004, 1005, 1006, 1007, 1602, 611),
    "조회": (108, 110, 208, 211, 301, 701, 1103, 1201, 1401, 1601),
    "통장": (200, 201, 202, 203, 208, 209, 210, 212, 906, 1503),
    "돈 보내기": (100, 101, 102, 103, 107, 904, 1501),
    "돈 모으기": (204, 206, 300, 306, 605, 1101),
    "해외": (412, 603, 704, 900, 904, 905),
    "가입": (205, 206, 610, 700, 701, 704),
    "납부": (104, 407, 508, 1000, 1001, 1002, 1003, 1004, 1403),
    "알림": (107, 606, 1303, 1701, 1703, 1704, 1901),
    "결제": (405, 406, 407, 410, 412, 800, 801, 802, 806, 807),
}

# The same, never typed until people are measured: what was learned from other queries is all that can help.
UNTYPED: dict[str, tuple[int, ...]] = {
    "발급": (109, 209, 401, 402, 403, 411, 1803),
    "등록": (104, 207, 802, 1102, 1303, 1400, 1802, 1804),
    "충전": (803, 804, 805, 808, 1502),
    "비교": (204, 303, 404, 501, 510, 705),
    "자동": (104, 105, 302, 605, 705, 804, 1003, 1400, 1501),
    "금리": (203, 204, 501, 507, 509, 510),
    "취소": (105, 607, 805, 807, 1004, 1602),
    "통장 만들기": (200, 201, 202, 210, 306, 906, 1503),
}
