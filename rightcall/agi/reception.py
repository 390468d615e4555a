"""Receives Asterisk's connections: access, choice of the script, and end of each dialogue."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import structlog

from rightcall.agi.channel import Channel
from rightcall.agi.dialogues import Dialogues
from rightcall.agi.errors import AgiError, AsteriskSilent, ChannelGone
from rightcall.agi.rights import CallRights
from rightcall.agi.shadow import Shadow

if TYPE_CHECKING:
    import socket

    from rightcall.agi.dialogues import Dialogue
    from rightcall.agi.metrics import AgiMetrics
    from rightcall.agi.settings import AgiSettings
    from rightcall.aio import Client

_log = structlog.get_logger()

RIGHTS: Final = "user_set_call_rights"
SHADOW: Final = "shadow"


class Reception:
    """Runs the dialogues.

    Args:
        client: the client of the server that decides calls.
        settings: allowed networks, and limits.
        metrics: counts dialogues by result.
    """

    def __init__(self, client: Client, settings: AgiSettings, metrics: AgiMetrics) -> None:
        rights = CallRights(client, settings, metrics)
        self._scripts: dict[str, CallRights | Shadow] = {
            "": rights,
            RIGHTS: rights,
            SHADOW: Shadow(client, settings, metrics),
        }
        self._settings = settings
        self._metrics = metrics
        self._dialogues = Dialogues(settings.max_dialogues, settings.max_dialogues_per_peer)

    def take(self, connection: socket.socket, address: tuple[Any, ...]) -> None:
        """Begins a dialogue, or closes a connection that may not have one."""
        peer = ip_address(address[0].partition("%")[0])
        peer = getattr(peer, "ipv4_mapped", None) or peer
        if not any(peer in network for network in self._settings.allow):
            advice = "name its network with --allow if it is an Asterisk"
            _log.warning("agi_peer_refused", peer=str(peer), advice=advice)
            self._metrics.broken("peer")
            connection.close()
            return
        dialogue = self._dialogues.admit(str(peer))
        if dialogue is None:
            self._note_full(str(peer))
            connection.close()
            return
        dialogue.task = asyncio.get_running_loop().create_task(self._hold(connection, dialogue))
        dialogue.task.add_done_callback(lambda _: self._over(connection, dialogue))
        self._metrics.dialogues(len(self._dialogues))

    async def drain(self) -> None:
        """Lets the dialogues end, for a while."""
        tasks = self._dialogues.tasks()
        if not tasks:
            return
        _, unfinished = await asyncio.wait(tasks, timeout=self._settings.drain_seconds)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    async def _hold(self, connection: socket.socket, dialogue: Dialogue) -> None:
        """One dialogue, from start to end; an error in one harms no other."""
        dialogue.begun = True
        try:
            channel = await Channel.over(connection, self._settings.asterisk_deadline)
            try:
                await self._run(channel, dialogue)
            finally:
                channel.close()
        except Exception:  # noqa: BLE001 - a defect in one dialogue must not end the adapter
            _log.exception("agi_failed")

    def _over(self, connection: socket.socket, dialogue: Dialogue) -> None:
        if not dialogue.begun:  # cancelled first
            connection.close()
        if dialogue.displaced:
            self._note_full(dialogue.peer)
        elif dialogue.task and dialogue.task.cancelled():
            self._metrics.broken("stopped")
        self._dialogues.end(dialogue)
        self._metrics.dialogues(len(self._dialogues))

    async def _run(self, channel: Channel, dialogue: Dialogue) -> None:
        try:
            environment = await channel.environment()
            name = environment.get("agi_network_script", "").partition("?")[0]
            script = self._scripts.get(name)
            if script is None:
                advice = f"in the dialplan, ask for {RIGHTS} or {SHADOW}"
                _log.error("agi_script_unknown", script=name[:64], advice=advice)
                self._metrics.broken("script")
            else:
                await script.run(channel, dialogue.be_patient)
        except ChannelGone as gone:
            _log.debug("agi_channel_gone", error=str(gone))
            self._metrics.broken("gone")
        except AsteriskSilent as error:
            _log.warning("agi_peer_silent", peer=dialogue.peer, error=str(error))
            self._metrics.broken("silent")
        except AgiError as error:
            _log.error("agi_not_understood", peer=dialogue.peer, error=str(error))
            self._metrics.broken("protocol")

    def _note_full(self, peer: str) -> None:
        _log.error(
            "agi_too_many_dialogues",
            peer=peer,
            limit=self._settings.max_dialogues,
            limit_per_peer=self._settings.max_dialogues_per_peer,
        )
        self._metrics.broken("full")
