"""Proofs: with a second factor somebody says that it is they who want just this, now, from this sign-in.

A proof is for one person, one sign-in, one purpose and exactly its facts; it is made within five minutes, by at most
five answers, and used once.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec

from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.ids import new_id
from server.limits import Limits
from server.people import factor_rules as rules
from server.people import passkeys
from server.people.factor_model import (
    Assertion,
    Factor,
    FactorKind,
    Facts,
    KeptProof,
    Made,
    Method,
    PasskeyRequest,
    Proof,
    ProofState,
    Purpose,
)
from server.people.factor_repo import FactorsRepo, ProofsRepo
from server.people.inbox import FactorNews
from server.people.news import Newsroom
from server.store import Store, Tx


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of them: a TOTP code, a passkey's signature, a recovery code."""

    code: str | None = None
    assertion: Assertion | None = None
    recovery: str | None = None


class Proofs:
    def __init__(
        self,
        store: Store,
        factors: FactorsRepo,
        repo: ProofsRepo,
        news: Newsroom,
        limits: Limits,
        clock: Clock,
        digest_key: bytes,
    ) -> None:
        self._store = store
        self._factors = factors
        self._repo = repo
        self._news = news
        self._limits = limits
        self._clock = clock
        self._key = digest_key

    async def begin(self, me: str, session: str, purpose: Purpose, facts: Facts, origin: str) -> Proof:
        """A proof to be made. Raises `factor_needed` without a factor that works on this page, `bad_request` for facts
        that the purpose does not have."""
        rules.check_facts(purpose, facts)
        host = rules.passkey_host(origin)
        factors = await self._factors.of(me)
        recovery = await self._factors.recovery(me)
        methods = rules.methods(factors, len(recovery.hashes) if recovery else 0, purpose, host)
        if not factors or not methods:
            raise VouchError(Code.FACTOR_NEEDED, "Set up a second factor first.")
        await self._limits.hit("begin_proof", me)
        proof = KeptProof(
            id=new_id("pf"),
            person=me,
            session=session,
            purpose=purpose,
            digest=rules.facts_digest(self._key, purpose, facts),
            challenge=passkeys.challenge(),
            origin=origin,
            expires=self._clock.now() + rules.PROOF_LASTS,
        )
        await self._repo.insert(proof)
        asked = None
        if Method.PASSKEY in methods and host is not None:
            keys = [f for f in factors if f.kind is FactorKind.PASSKEY and rules.usable(f, host)]
            asked = PasskeyRequest(passkeys.text(proof.challenge), host, [f.credential or "" for f in keys])
        return Proof(proof.id, purpose, methods, asked, to_ms(proof.expires))

    async def make(self, me: str, session: str, id: str, answer: Answer) -> Made:
        """Raises `wrong_factor`; `not_found` for a proof that is not of this sign-in; `factor_needed` when it has ended
        or has borne too many answers: begin another one."""
        given = [value for value in (answer.code, answer.assertion, answer.recovery) if value is not None]
        if len(given) != 1:
            raise VouchError(Code.BAD_REQUEST, "Give a code, a passkey's answer or a recovery code.", field="code")
        proof = await self._repo.get(id)
        if proof is None or (proof.person, proof.session) != (me, session):
            raise VouchError(Code.NOT_FOUND)
        await self._limits.hit("prove", me)
        if proof.expires <= self._clock.now() or not await self._repo.count_try(id, rules.MOST_TRIES):
            raise VouchError(Code.FACTOR_NEEDED, "This has taken too long, or too many tries. Begin again.")

        async def body(tx: Tx) -> None:
            if answer.code is not None:
                await self._by_code(tx, me, answer.code)
            elif answer.assertion is not None:
                await self._by_passkey(tx, proof, answer.assertion)
            else:
                await self._by_recovery(tx, proof, answer.recovery or "")
            if not await self._repo.move(tx, id, ProofState.OPEN, ProofState.MADE):
                raise VouchError(Code.FACTOR_NEEDED)

        try:
            await self._store.transact(body)
        except _Copied as copied:
            factor = copied.factor
            await self._store.transact(lambda tx: self._retire(tx, me, factor))
            raise VouchError(Code.WRONG_FACTOR) from None
        return Made(id, to_ms(proof.expires))

    async def spend(
        self, tx: Tx, person: str, session: str, proof: str, purpose: str, facts: Facts, *, use: str = ""
    ) -> None:
        """Uses a proof, in the transaction of what it is for. Raises `factor_needed` unless it was made for just this
        and not used before. With `use` (such as `pay_out:…`) it stays good for the same use: a step that is repeated
        after a crash spends nothing twice."""
        found = await self._repo.get(proof, tx) if proof else None
        if found is None or (found.person, found.session, found.purpose) != (person, session, Purpose(purpose)):
            raise VouchError(Code.FACTOR_NEEDED)
        digest = rules.facts_digest(self._key, found.purpose, facts)
        if not secrets.compare_digest(found.digest, digest):
            raise VouchError(Code.FACTOR_NEEDED)
        if use and found.state is ProofState.SPENT and found.use == use:
            return
        fresh = found.state is ProofState.MADE and found.expires > self._clock.now()
        if not fresh or not await self._repo.move(tx, proof, ProofState.MADE, ProofState.SPENT, use):
            raise VouchError(Code.FACTOR_NEEDED)

    async def on_sessions_end(self, tx: Tx, sessions: Sequence[str]) -> None:
        """What a sign-in has proved ends with it."""
        for session in sessions:
            await self._repo.delete_of_session(tx, session)

    async def on_delete(self, tx: Tx, person: str) -> None:
        await self._repo.delete_all(tx, person)

    # ── The three ways ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _by_code(self, tx: Tx, me: str, text: str) -> None:
        now, code = self._clock.now(), rules.plain_code(text)
        for factor in await self._factors.of(me, tx):
            if factor.kind is not FactorKind.TOTP or not code:
                continue
            step = rules.matching_step(factor.secret, code, now, factor.step)
            if step is not None:
                return await self._used(tx, msgspec.structs.replace(factor, step=step))
        raise VouchError(Code.WRONG_FACTOR)

    async def _by_passkey(self, tx: Tx, proof: KeptProof, answer: Assertion) -> None:
        host = rules.passkey_host(proof.origin)
        for factor in await self._factors.of(proof.person, tx):
            if factor.kind is not FactorKind.PASSKEY or factor.credential != answer.id:
                continue
            if not rules.usable(factor, host):
                break
            counter = passkeys.counter_of(answer, factor, proof.challenge, proof.origin)
            if not rules.counter_goes_on(factor.counter, counter):
                raise _Copied(factor)
            return await self._used(tx, msgspec.structs.replace(factor, counter=counter))
        raise VouchError(Code.WRONG_FACTOR)

    async def _by_recovery(self, tx: Tx, proof: KeptProof, text: str) -> None:
        if proof.purpose is not Purpose.FACTOR:
            raise VouchError(Code.WRONG_FACTOR)
        codes = await self._factors.recovery(proof.person, tx)
        wanted = rules.recovery_hash(text, proof.person)
        if codes is None or wanted not in codes.hashes:
            raise VouchError(Code.WRONG_FACTOR)
        left = tuple(code for code in codes.hashes if code != wanted)
        fewer = msgspec.structs.replace(codes, hashes=left, version=codes.version + 1)
        if not await self._factors.put_recovery(tx, fewer):
            raise VouchError(Code.WRONG_FACTOR)  # used at the same moment
        await self._tell(tx, proof.person, f"recovery:{wanted[:16]}", "recovery_used")

    async def _used(self, tx: Tx, factor: Factor) -> None:
        used = msgspec.structs.replace(factor, used_at=self._clock.now(), version=factor.version + 1)
        if not await self._factors.replace(used, tx):
            raise VouchError(Code.WRONG_FACTOR)  # used at the same moment: of two with one code the second is a replay

    async def _retire(self, tx: Tx, me: str, factor: Factor) -> None:
        """A passkey that seems copied proves nothing any more."""
        retired = msgspec.structs.replace(factor, copied=True, version=factor.version + 1)
        if await self._factors.replace(retired, tx):
            await self._tell(tx, me, f"factor:{factor.id}:copied", "copied", factor.name)

    async def _tell(self, tx: Tx, person: str, event: str, done: str, name: str = "") -> None:
        order = to_ms(self._clock.now())
        await self._news.tell(tx, person, event, order, "factors_changed", FactorNews(done, person, name))


class _Copied(Exception):
    """Leaves the transaction: what follows is written in one of its own."""

    def __init__(self, factor: Factor) -> None:
        super().__init__(factor.id)
        self.factor = factor
