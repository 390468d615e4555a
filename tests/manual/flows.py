"""The pictures of the two flows: a call's question and answer, and the rules' way to the servers."""

from __future__ import annotations

from manual.svg import Drawing, box_height


def call_flow() -> str:
    """From a telephone to an answer."""
    drawing = Drawing(860, 330, "A call: from the telephone to the answer")
    drawing.text((16, 28), "A call", style="strong", anchor="start")
    drawing.box(20, 70, 110, ["Telephone", "dials 0033…"])
    drawing.box(230, 70, 150, ["Call control", "Asterisk, Wazo,", "a SIP proxy"])
    drawing.box(550, 60, 286, list(_STEPS), kind="core")
    drawing.arrow([(130, 95), (228, 95)], label="the call")
    drawing.arrow([(380, 82), (548, 82)], label="caller, extension,", style="walk")
    drawing.text((461, 98), "outcall", style="small")
    drawing.arrow([(550, 124), (382, 124)], label="decision", style="walk")
    for number, (kind, lines) in enumerate(_ANSWERS):
        x = 120 + number * 210
        drawing.box(x, 196, 190, lines, kind=kind)
        drawing.arrow([(305, 70 + box_height(3)), (305, 165), (x + 95, 165), (x + 95, 194)])
    drawing.box(740, 196, 96, ["Redis", "counts tries"])
    drawing.arrow([(788, 142), (788, 194)], style="line dashed")
    drawing.text((16, 300), _CALL_NOTE[0], style="small", anchor="start")
    drawing.text((16, 317), _CALL_NOTE[1], style="small", anchor="start")
    return drawing.render()


_STEPS = (
    "Server",
    "1. whose caller is it: one look-up",
    "2. walk its profile's automaton",
    "3. nothing matched: walk the outcall's",
)
_ANSWERS = (
    ("allow", ["ALLOW", "call control connects", "the call"]),
    ("deny", ["DENY", "call control refuses it,", "naming the permission"]),
    ("challenge", ["CHALLENGE", "asks for a password:", "AnswerChallenge"]),
)
_CALL_NOTE = (
    "The rules are in the server's memory: no database and no Redis is asked on the way of an answer.",
    "Only passwords are counted in Redis (dashed), so that all servers together allow no more tries than one.",
)


def rules_flow() -> str:
    """From where the rules are kept to the servers."""
    drawing = Drawing(860, 370, "The rules: from where they are kept to the servers that answer by them")
    drawing.text((16, 28), "The rules", style="strong", anchor="start")
    sources = (["Wazo Platform", "REST API and bus"], ["PostgreSQL", "Wazo's database"], ["Files", "YAML or JSON"])
    for number, lines in enumerate(sources):
        y = 56 + number * 66
        drawing.box(20, y, 140, lines)
        drawing.arrow([(160, y + 24), (196, y + 24), (196, 146), (228, 146)])
    drawing.box(230, 96, 190, list(_LOADER), kind="core")
    drawing.box(510, 105, 150, ["Redis", "1. the snapshot,", "under its revision", "2. the pointer to it"])
    drawing.arrow([(420, 146), (508, 146)], label="snapshot", style="walk")
    for number in range(3):
        y = 48 + number * 74
        drawing.box(730, y, 110, ["Server", "current rules"], kind="core")
        drawing.arrow([(660, 146), (690, 146), (690, y + 24), (728, y + 24)], style="walk")
    drawing.arrow([(325, 195), (325, 284), (785, 284), (785, 246)], style="line dashed")
    drawing.text((555, 276), "embedded: loader and server in one process, without Redis", style="small")
    drawing.text((16, 330), _RULES_NOTE[0], style="small", anchor="start")
    drawing.text((16, 347), _RULES_NOTE[1], style="small", anchor="start")
    return drawing.render()


_LOADER = ("Loader", "reads and checks", "compiles what changed", "signs and publishes", "one of several leads")
_RULES_NOTE = (
    "Redis tells the servers that a pointer has moved; each fetches the snapshot, verifies it, and swaps it in.",
    "Where anything on this way is away or at fault, servers go on answering by the rules that they have.",
)
