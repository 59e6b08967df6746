"""Is a file ours, and unchanged? And who may be told what of a proof."""

from __future__ import annotations

from hashlib import sha256

from msgspec.structs import replace

from server.clock import to_ms
from server.errors import VouchError
from server.proofs import rules
from server.proofs.model import OfPledge, Proof, ProofKind, Verified, VerifyState
from server.proofs.neighbours import Neighbours
from server.proofs.repo import ProofsRepo
from server.proofs.studio import Studio
from server.supervision.model import Pledge
from server.supervision.rules import thread


class Verifying:
    def __init__(self, near: Neighbours, repo: ProofsRepo, studio: Studio) -> None:
        self._near = near
        self._repo = repo
        self._studio = studio

    async def verify(self, me: str, data: bytes) -> Verified:
        """What can be said of a file to this person (empty: a stranger). Raises `unavailable`.

        Only the digest of the whole file makes it `unchanged`: a signature leaves out its own padding, and whoever has
        stolen the key can sign what they like."""
        exact = await self._repo.of_digest(sha256(data).hexdigest())
        if exact is not None and exact.media is not None:
            return await self._told(me, VerifyState.UNCHANGED, exact)
        seen = await self._studio.check(data)
        named = await self._repo.get(seen.proof) if seen.proof else None
        if named is not None:
            return await self._told(me, VerifyState.CHANGED, named)
        if seen.valid:
            return Verified(state=VerifyState.UNRECORDED)
        if seen.looks is not None and not rules.is_flat(seen.looks):
            like = rules.nearest(seen.looks, await self._repo.like(rules.sought_under(seen.looks, "")))
            if like is not None:
                return await self._told(me, VerifyState.RESEMBLES, like)
        return Verified(state=VerifyState.UNKNOWN)

    async def may_see(self, me: str, proof: Proof) -> bool:
        """Raises nothing: what is not there is seen by nobody."""
        if me in (proof.by, proof.person):
            return True
        reads = await self._reads(me, proof.pledge) is not None
        return rules.may_see(proof, me, reads_pledge=reads, sent=reads and await self._is_sent(proof))

    async def _is_sent(self, proof: Proof) -> bool:
        """A photo is its taker's until they send it; everything else is evidence from the beginning."""
        if proof.kind is not ProofKind.PHOTO or proof.media is None:
            return True
        return await self._near.keeping.is_kept(proof.media)

    async def _reads(self, me: str, pledge: str) -> Pledge | None:
        """The pledge, when this person reads it."""
        if not pledge or not me:
            return None
        try:
            found = await self._near.pledges.get(pledge)
        except VouchError:
            return None
        return found if thread.reads(found, me) else None

    async def _told(self, me: str, state: VerifyState, proof: Proof) -> Verified:
        said = Verified(state=state, kind=proof.kind, at=to_ms(proof.at), code=rules.code_of(proof.nonce))
        pledge = await self._reads(me, proof.pledge)
        if pledge is None and me not in (proof.by, proof.person):
            return said
        cards = await self._near.people.cards([proof.person])
        name = cards[proof.person].name if proof.person in cards else None
        of = OfPledge(pledge.id, pledge.terms.title, proof.task) if pledge else None
        return replace(said, pledge=of, person=name)
