"""The mistakes that lint finds, and the meaning of each code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pdp.rules.model import Decision


class Rank(IntEnum):
    """The harm of a mistake, worst first."""

    CRITICAL = 1
    """An emergency call cannot be made, though a rule was written for that call."""
    HIGH = 2
    """A line is open that a rule was written to close, or closed that a rule was written to open."""
    MEDIUM = 3
    """A rule does not have its apparent effect, though no call shows harm."""
    LOW = 4
    """Something is superfluous or missing."""


class Code(NamedTuple):
    """A kind of mistake.

    Attributes:
        rank: the harm of the mistake.
        title: the mistake in a few words.
    """

    rank: Rank
    title: str


CODES: Final[dict[str, Code]] = {
    "deny-all-on-user-beats-group-emergency": Code(
        Rank.CRITICAL, "A deny of the user's own closes an emergency number that its group is allowed."
    ),
    "emergency-permission-disabled": Code(
        Rank.CRITICAL, "The permission that allows an emergency number is disabled, and the number is denied."
    ),
    "premium-opened-by-another-stage": Code(
        Rank.HIGH, "An allow of an earlier stage opens all that a narrower deny closes."
    ),
    "allow-beats-narrower-deny": Code(
        Rank.HIGH, "An allow prevails over a narrower deny of the same stage, which closes nothing."
    ),
    "missing-tail": Code(Rank.HIGH, "A pattern without its dot matches one number and not all that begin so."),
    "literal-star": Code(Rank.HIGH, "A star is a key of the telephone and stands for nothing else."),
    "outside-line-missing": Code(Rank.HIGH, "A pattern leaves out the outside line, and so matches no number."),
    "no-number": Code(Rank.HIGH, "A pattern for numbers matches none as they are dialled in the tenant's country."),
    "needs-a-separator": Code(Rank.HIGH, "A pattern needs a separator, and separators are dropped."),
    "own-country-not-meant": Code(
        Rank.MEDIUM, "A pattern for + and any number leaves out the tenant's own country, where it is not spelled out."
    ),
    "dialling-not-said": Code(
        Rank.MEDIUM, "The tenant does not say how it dials, so other ways to dial a number get round its denies."
    ),
    "other-notation-open": Code(Rank.MEDIUM, "What is denied with 00 in front is open with +, or the other way round."),
    "other-outcall-open": Code(Rank.MEDIUM, "What an outcall denies is allowed through another one."),
    "costly-range-open": Code(Rank.MEDIUM, "No permission speaks of numbers that cost more than others."),
    "only-a-disabled-group": Code(Rank.MEDIUM, "Only disabled groups have the permission, so it never applies."),
    "group-without-members": Code(Rank.MEDIUM, "Only groups without members have the permission, so it never applies."),
    "one-permission-on-user-and-outcall": Code(
        Rank.MEDIUM, "A permission on a user and on an outcall applies to each alone; it does not join the two."
    ),
    "always-decided-by-an-earlier-stage": Code(Rank.MEDIUM, "Permissions of an earlier stage take all its extensions."),
    "never-decides": Code(Rank.MEDIUM, "Other permissions of its stage take all its extensions."),
    "password-never-asked": Code(
        Rank.MEDIUM, "Instead of its PIN, that of a permission with a higher id is asked for."
    ),
    "two-passwords-in-one-stage": Code(
        Rank.MEDIUM, "Where two permissions of a stage ask for a PIN, only that of the higher id is asked for."
    ),
    "short-pin": Code(Rank.MEDIUM, "A PIN of less than four digits is soon guessed."),
    "pin-is-the-extension": Code(Rank.MEDIUM, "A user's PIN is the user's own extension."),
    "shared-pin": Code(Rank.MEDIUM, "Several users have the same PIN of their own."),
    "untypable-pin": Code(Rank.MEDIUM, "A # ends the typing of a PIN on a telephone."),
    "no-pattern": Code(Rank.LOW, "A permission without extensions never applies."),
    "no-association": Code(Rank.LOW, "A permission without users, groups and outcalls never applies."),
    "duplicate-permissions": Code(Rank.LOW, "Two permissions say the same to the same callers."),
    "emergency-number-denied": Code(
        Rank.LOW, "A permission would deny an emergency number, if it were not on the list."
    ),
    "emergency-list-decides-first": Code(Rank.LOW, "The emergency list allows all that the permission matches."),
    "pattern-never-decides": Code(Rank.LOW, "A pattern of a permission decides nothing; its other patterns do."),
    "pattern-covered": Code(Rank.LOW, "The other patterns of its permission match all that a pattern does."),
    "not-looked-at": Code(Rank.MEDIUM, "The patterns take too many states to tell apart; nothing was looked for."),
    "no-emergency-list": Code(Rank.LOW, "The tenant has no list of emergency numbers."),
}
"""Every code, worst first."""


class Call(NamedTuple):
    """A call that shows a mistake.

    Attributes:
        caller: a user's UUID; empty: a caller that is no user.
        outcall: the outcall's id; None: without an outcall.
        extension: the text that is dialled.
        decision: the decision on the call.
    """

    caller: str
    outcall: str | None
    extension: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake.

    Attributes:
        code: the kind, one of ``CODES``.
        text: the mistake, in a sentence.
        remedy: the remedy.
        permissions: the ids of the permissions concerned, the first one at fault.
        users: the UUIDs of the users concerned, where no permission is at fault.
        pattern: the pattern at fault, if any.
        call: a call that shows the mistake.
        less: the rank, where the mistake does less harm than others of the kind; None: the rank of the kind.
    """

    code: str
    text: str
    remedy: str
    permissions: tuple[int, ...] = ()
    users: tuple[str, ...] = ()
    pattern: str = ""
    call: Call | None = None
    less: Rank | None = None

    @property
    def rank(self) -> Rank:
        """The harm of the mistake."""
        return self.less or CODES[self.code].rank
