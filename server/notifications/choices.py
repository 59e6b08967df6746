"""What people have chosen: quiet hours, previews, read receipts, and what they want to hear of each conversation."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.ids import new_id
from server.notifications import rules
from server.notifications.model import NotificationSettings, Notify
from server.notifications.repo import ChoicesRepo
from server.store import Store, Tx


class Outbox(Protocol):
    """What is needed of the realtime outbox."""

    async def put(self, tx: Tx, *, id: str, ch: str, order: int, kind: str, body: dict[str, Any]) -> None: ...


class Choices:
    """A person's other windows are told of every change by their inbox, in the same transaction."""

    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self.repo = ChoicesRepo(store)
        self._store = store
        self._outbox = outbox
        self._clock = clock

    async def settings(self, person: str) -> NotificationSettings:
        return await self.repo.settings(person)

    async def change(self, person: str, wanted: NotificationSettings) -> NotificationSettings:
        """Raises `bad_request` for a time zone that does not exist."""
        kept = rules.settings(wanted)
        event = new_id("n")

        async def body(tx: Tx) -> None:
            await self.repo.put_settings(tx, person, kept)
            await self._tell(tx, person, event, None)

        await self._store.transact(body)
        return kept

    async def mute(self, person: str, conversation: str, wanted: Notify) -> Notify:
        """The caller has made sure that the person is in the conversation. Raises `bad_request` for a past `until`."""
        if wanted.until is not None and wanted.until <= to_ms(self._clock.now()):
            raise VouchError(Code.BAD_REQUEST, "This time has passed.", field="until")
        event = new_id("n")

        async def body(tx: Tx) -> None:
            await self.repo.put_notify(tx, person, conversation, wanted)
            await self._tell(tx, person, event, conversation)

        await self._store.transact(body)
        return wanted

    async def of(self, person: str, conversations: Collection[str]) -> dict[str, Notify]:
        """What holds now for these conversations; those that are as they began are left out."""
        now = to_ms(self._clock.now())
        found = await self.repo.notify(person, conversations)
        return {conv: chosen for conv, chosen in found.items() if chosen.until is None or chosen.until > now}

    async def hiding(self, persons: Collection[str]) -> set[str]:
        """Those of these people whose reading others do not see at this moment."""
        at = self._clock.now()
        found = await self.repo.settings_of(persons)
        return {person for person, chosen in found.items() if rules.hides_receipts(chosen, at)}

    async def _tell(self, tx: Tx, person: str, event: str, conversation: str | None) -> None:
        await self._outbox.put(
            tx,
            id=f"notify:{event}",
            ch=f"inbox:{person}",
            order=to_ms(self._clock.now()),
            kind="notify_changed",
            body={"conversation": conversation},
        )
