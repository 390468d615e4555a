"""The running dialogues: their limits, and the choice of one that ends for another."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable


class Dialogue:
    """One connection from Asterisk.

    Attributes:
        peer: the peer's address.
        task: the task that runs the dialogue; None before the start.
        patient: whether the dialogue may take time, because a person is asked; others are over within moments.
        begun: whether the task has taken over the connection.
        displaced: whether the dialogue was ended for another.
    """

    __slots__ = ("begun", "displaced", "patient", "peer", "task")

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.task: asyncio.Task[None] | None = None
        self.patient = False
        self.begun = False
        self.displaced = False

    def be_patient(self) -> None:
        """Marks the dialogue as one that may take time."""
        self.patient = True


class Dialogues:
    """All dialogues, the oldest first.

    At the limit, the oldest dialogue that is not about a PIN makes way: a peer that connects and sends nothing harms
    itself, and calls are answered within moments.

    Args:
        most: that are held at the same time.
        most_per_peer: that are held of one peer.
    """

    def __init__(self, most: int, most_per_peer: int) -> None:
        self._most = most
        self._most_per_peer = most_per_peer
        self._held: dict[Dialogue, None] = {}
        self._peers: Counter[str] = Counter()

    def __len__(self) -> int:
        """The number of dialogues."""
        return len(self._held)

    def tasks(self) -> set[asyncio.Task[None]]:
        """The tasks of the dialogues."""
        return {dialogue.task for dialogue in self._held if dialogue.task}

    def admit(self, peer: str) -> Dialogue | None:
        """Adds a dialogue; returns None without room and without one that could make way."""
        if self._peers[peer] >= self._most_per_peer:
            if not self._displace(dialogue for dialogue in self._held if dialogue.peer == peer):
                return None
        elif len(self._held) >= self._most and not self._displace(self._held):
            return None
        dialogue = Dialogue(peer)
        self._held[dialogue] = None
        self._peers[peer] += 1
        return dialogue

    def end(self, dialogue: Dialogue) -> None:
        """Removes a dialogue that is over, or had to make way."""
        if dialogue in self._held:
            del self._held[dialogue]
            self._peers[dialogue.peer] -= 1
            if not self._peers[dialogue.peer]:
                del self._peers[dialogue.peer]

    def _displace(self, candidates: Iterable[Dialogue]) -> bool:
        """Ends the first that is not patient; whether there was one."""
        for dialogue in candidates:
            if not dialogue.patient:
                dialogue.displaced = True
                if dialogue.task:
                    dialogue.task.cancel()
                self.end(dialogue)
                return True
        return False
