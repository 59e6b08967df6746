"""Live proofs (R-14, R-16): a nonce, a picture within a minute, sealed; snapshots of calls; places; and verifying.

What came in is read by one process, sealed by another, then kept in one transaction that uses the nonce up. A photo is
its taker's until they report with it, add it as evidence or answer a check: there its digest enters the pledge's chain.
A snapshot and a place enter it at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from msgspec.structs import replace

from server.clock import to_ms
from server.errors import Code, VouchError
from server.ids import new_id
from server.media.making import Shape
from server.media.model import Variant
from server.media.rows import MediaRow
from server.media.service import Content
from server.proofs import metrics, rules
from server.proofs.model import (
    Alike,
    AlikeView,
    AskNonce,
    Looks,
    Nonce,
    NonceView,
    Proof,
    ProofKind,
    ProofView,
    ShareLocation,
    TakePhoto,
    Verified,
)
from server.proofs.neighbours import Neighbours
from server.proofs.repo import ProofsRepo
from server.proofs.studio import Studio
from server.proofs.verifying import Verifying
from server.store import Duplicate, Tx
from server.supervision.model import Pledge
from server.supervision.rules import evidence, thread

#: nonces that were over so long ago are forgotten
_FORGOTTEN = timedelta(days=1)


class Proofs:
    def __init__(self, near: Neighbours, studio: Studio | None = None) -> None:
        self.repo = ProofsRepo(near.store)
        self.studio = studio or Studio(near.keys)
        self._near = near
        self._verifying = Verifying(near, self.repo, self.studio)

    async def start(self) -> None:
        await self.repo.ensure_indexes()

    async def stop(self) -> None:
        await self.studio.stop()

    # ── Photos ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def ask(self, me: str, session: str, pledge: str, body: AskNonce) -> NonceView:
        """A nonce for one picture. Raises `not_found`, `closed`, `bad_request` (`task`), `too_often`."""
        await self._near.limits.hit("photo_nonce", me)
        await self._open(me, pledge, body.task)
        self.studio.workers.warm()
        now = self._near.clock.now()
        nonce = Nonce(
            id=new_id("nx"),
            person=me,
            session=session,
            pledge=pledge,
            task=body.task,
            at=now,
            until=now + rules.LIVES,
        )
        await self.repo.add_nonce(nonce, now - _FORGOTTEN)
        return NonceView(nonce.id, rules.code_of(nonce.id), to_ms(now), to_ms(nonce.until))

    async def photograph(self, me: str, session: str, pledge: str, body: TakePhoto) -> ProofView:
        """Seals a picture that was taken just now; asked again with the same picture it is the same proof.

        Raises `not_found`, `closed`, `not_live`, `nonce_used`, `nonce_stale`, `picture_reused`, `bad_picture`,
        `limit_reached`, `too_often`, `unavailable`."""
        now = self._near.clock.now()
        await self._near.limits.hit("live_photo", me)
        try:
            return view(await self._photographed(me, session, pledge, body, now))
        except VouchError as refusal:
            metrics.REFUSED.labels(refusal.code.value).inc()
            raise

    async def _photographed(self, me: str, session: str, pledge: str, body: TakePhoto, now: datetime) -> Proof:
        source = sha256(body.picture).hexdigest()
        known = await self.repo.nonce(body.nonce)
        if known is not None and (proof := await self._again(me, known, source)) is not None:
            return proof
        nonce = rules.check_nonce(known, me, session, pledge, now)
        seen = await self._open(me, pledge, nonce.task)
        if await self.repo.of_source(source) is not None:
            raise VouchError(Code.PICTURE_REUSED)
        bare = await self.studio.read(body.picture)
        earlier = await self.repo.like(rules.sought_under(bare.looks, me))
        if rules.shown_before(bare.looks, earlier):
            raise VouchError(Code.PICTURE_REUSED)
        proof = Proof(
            id=new_id("pf"),
            kind=ProofKind.PHOTO,
            person=me,
            by=me,
            at=now,
            nonce=nonce.id,
            sha256="",
            source=source,
            pledge=pledge,
            task=nonce.task,
            place=body.place,
            alike=_alike(me, bare.looks, earlier),
        )
        proof, row = await self._sealed(proof, seen.terms.title, bare.width, bare.height, bare.rgb)

        async def body_of(tx: Tx) -> None:
            if not await self.repo.use_nonce(tx, nonce.id, proof.id):
                raise VouchError(Code.NONCE_USED, field="nonce")
            await self._near.making.add(tx, row)
            await self.repo.add(tx, proof)

        try:
            await self._near.store.transact(body_of)
        except (Duplicate, VouchError) as fault:
            # The same picture may have come twice at once: then both get the proof that the faster one has made.
            used = await self.repo.nonce(nonce.id)
            if used is not None and (made := await self._again(me, used, source)) is not None:
                return made
            if isinstance(fault, VouchError):
                raise
            raise VouchError(Code.PICTURE_REUSED) from None
        _count(proof)
        return proof

    async def _again(self, me: str, nonce: Nonce, source: str) -> Proof | None:
        """What was made of this nonce, when it is its person's, who sends the same picture once more."""
        proof = await self.repo.get(nonce.proof) if nonce.proof else None
        return proof if proof is not None and nonce.person == me and proof.source == source else None

    # ── Snapshots ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def from_picture(
        self,
        rgb: bytes,
        width: int,
        height: int,
        *,
        person: str,
        by: str,
        pledge: str = "",
        call: str = "",
        key: str = "",
        task: int = 0,
        conversation: str = "",
    ) -> Proof:
        """Seals what a call has shown of `person` (RGB, three bytes a pixel) just now; `by` has asked for it. With a
        pledge it becomes evidence at once. `key` is the client's: with the same one it is the same proof.

        Raises `not_found` and `closed` for the pledge, `limit_reached`, `bad_request`, `unavailable`."""
        now = self._near.clock.now()
        if width < 1 or height < 1 or len(rgb) != width * height * 3:
            raise VouchError(Code.BAD_REQUEST, "This is not the picture of that size.")
        source = sha256(f"{call}\n{by}\n{key or new_id('k')}".encode()).hexdigest()
        if (before := await self.repo.of_source(source)) is not None:
            return before
        title = (await self._open(by, pledge, task)).terms.title if pledge else ""
        proof = Proof(
            id=new_id("pf"),
            kind=ProofKind.SNAPSHOT,
            person=person,
            by=by,
            at=now,
            nonce=new_id("nx"),
            sha256="",
            source=source,
            pledge=pledge,
            task=task,
            call=call,
        )
        proof, row = await self._sealed(proof, title, width, height, rgb, place=pledge or conversation or call)
        # The same film twice: whoever judges is told. Two pictures of one call are alike anyway.
        earlier = await self.repo.like(rules.sought_under(proof.looks[0], person))
        alike = _alike(person, proof.looks[0], [one for one in earlier if not call or one.call != call])
        proof = replace(proof, alike=alike)

        async def keep(tx: Tx) -> None:
            await self._near.making.add(tx, row)
            if not pledge:
                await self._near.keeping.keep(tx, [row.id], proof.id)
            await self.repo.add(tx, proof)

        try:
            if pledge:
                await self._near.exhibits.prove(proof, row.facts, keep)
            else:
                await self._near.store.transact(keep)
        except Duplicate:  # asked twice at once
            if (made := await self.repo.of_source(source)) is None:
                raise
            return made
        _count(proof)
        return proof

    # ── Places ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def locate(self, me: str, pledge: str, body: ShareLocation) -> ProofView:
        """Adds where somebody is, as they consent to, to the evidence: a signal, which decides nothing by itself.

        Raises `not_found`, `closed`, `bad_request` (`task`), `limit_reached`, `too_often`."""
        await self._near.limits.hit("share_location", me)
        await self._open(me, pledge, body.task)
        nonce = new_id("nx")
        digest = rules.digest_of(body.place, nonce)
        proof = Proof(
            id=new_id("pf"),
            kind=ProofKind.LOCATION,
            person=me,
            by=me,
            at=self._near.clock.now(),
            nonce=nonce,
            sha256=digest,
            source=digest,
            pledge=pledge,
            task=body.task,
            place=body.place,
        )
        await self._near.exhibits.prove(proof, None, lambda tx: self.repo.add(tx, proof))
        _count(proof)
        return view(proof)

    # ── Reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def get(self, me: str, id: str) -> ProofView:
        """For who took it, whom it shows, and those who read its pledge. Raises `not_found`."""
        return view(await self._seen(me, id))

    async def picture(self, me: str, id: str) -> Content:
        """The signed file. Raises `not_found`, also where there is no picture, or none any more."""
        proof = await self._seen(me, id)
        if proof.media is None:
            raise VouchError(Code.NOT_FOUND)
        return await self._near.contents.content(proof.media, Variant.MAIN)

    async def of_call(self, me: str, call: str) -> list[ProofView]:
        """The pictures taken in a call that this person may see, the newest first: none of a call that is none."""
        return [view(proof) for proof in await self.repo.of_call(call) if await self._verifying.may_see(me, proof)]

    async def _seen(self, me: str, id: str) -> Proof:
        proof = await self.repo.get(id)
        if proof is None or not await self._verifying.may_see(me, proof):
            raise VouchError(Code.NOT_FOUND)
        return proof

    # ── Verifying ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def verify(self, me: str, ip: str, data: bytes) -> Verified:
        """What can be said of a file to this person (empty: a stranger). Raises `too_often`, `unavailable`."""
        await self._near.limits.hit("verify_proof_ip", ip)
        said = await self._verifying.verify(me, data)
        metrics.VERIFIED.labels(said.state.value).inc()
        return said

    # ── For supervision, and when an account is deleted ─────────────────────────────────────────────────────────────

    async def of_media(self, ids: Sequence[str]) -> dict[str, str]:
        """Picture → proof, for those of the pictures that are live."""
        return await self.repo.of_media(ids)

    async def views(self, ids: Sequence[str]) -> list[ProofView]:
        return [view(proof) for proof in await self.repo.many(ids)]

    async def on_delete(self, tx: Tx, person: str) -> None:
        """An account is deleted: pictures that others have taken of this person go, too."""
        await self._near.keeping.let_go(tx, await self.repo.shown_by_others(tx, person))
        await self.repo.forget(tx, person)

    # ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _open(self, me: str, id: str, task: int) -> Pledge:
        """A pledge to which somebody may add evidence now. Raises `not_found`, `closed`, `bad_request` (`task`)."""
        pledge = await self._near.pledges.get(id)
        if not thread.reads(pledge, me):
            raise VouchError(Code.NOT_FOUND)
        evidence.added(pledge, me, task, self._near.clock.now(), "…", (), "…")
        return pledge

    async def _sealed(
        self, proof: Proof, title: str, width: int, height: int, rgb: bytes, place: str | None = None
    ) -> tuple[Proof, MediaRow]:
        """Drawn on, signed, and its contents put away; the proof with its digest, and the thing that it will be."""
        cards = await self._near.people.cards([proof.person])
        card = cards.get(proof.person)
        name = rules.name_on(card.name, card.handle) if card else ""
        lines = rules.lines_of(name, title, proof.task, proof.nonce, proof.at)
        facts = {"proof": proof.id, "kind": proof.kind.value, "code": lines[2], "at": f"{proof.at:%Y-%m-%dT%H:%M:%SZ}"}
        made = await self.studio.seal(width, height, rgb, lines, proof.at, facts)
        file = f"vouch-{proof.at:%Y%m%d-%H%M%S}.jpg"
        shape = Shape(made.width, made.height, made.blur)
        where = proof.pledge if place is None else place
        row = await self._near.making.put(proof.by, where, file, made.pieces, shape)
        digest = row.parts[Variant.MAIN].digest
        return replace(proof, sha256=digest, media=row.id, looks=made.looks), row


def _alike(person: str, looks: Looks, earlier: Iterable[Proof]) -> Alike | None:
    found = rules.nearest(looks, earlier)
    return None if found is None else Alike(found.id, found.at, own=found.person == person)


def _count(proof: Proof) -> None:
    metrics.FILED.labels(proof.kind.value).inc()
    if proof.alike is not None:
        metrics.ALIKE.inc()


def view(proof: Proof) -> ProofView:
    return ProofView(
        id=proof.id,
        kind=proof.kind,
        at=to_ms(proof.at),
        person=proof.person,
        by=proof.by,
        code=rules.code_of(proof.nonce),
        sha256=proof.sha256,
        pledge=proof.pledge or None,
        task=proof.task,
        call=proof.call or None,
        media=proof.media,
        place=proof.place,
        alike=AlikeView(to_ms(proof.alike.at), proof.alike.own) if proof.alike else None,
    )
