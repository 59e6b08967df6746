"""Changing secrets, also while nodes run: the next key becomes known everywhere before it writes anywhere.

A ring (`cookie`, `field`, `blind`) goes three steps, and each one makes sure, by what the nodes say of themselves in
their leases, that no node is left behind:

    announce   a next key is made; nodes learn of it as they are restarted
    promote    it becomes the current one; the former one only reads
    finish     what is stored is sealed and indexed anew, then the old key goes

Without running nodes the steps need not wait for each other. The certificates' keys and the key of Web Push are
replaced in one step. The database remembers which keys its content needs, so a node that lacks one does not start.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from server.errors import StartupError
from server.keys import FORMER_AUTHORITY, RINGS, Keys, decode_key, fresh_text, load_keys, locked, print_of, write_secret
from server.payments.repo import OrdersRepo
from server.people.factor_repo import FactorsRepo
from server.people.phones import PhoneVault
from server.people.repo import PeopleRepo
from server.realtime import roll_call
from server.rings import Ring
from server.store import Document, Store
from server.wallet.repo import AccountsRepo

#: What each secret that can be changed is for.
PURPOSES = {
    "cookie": "signs the cookies of sign-ins",
    "field": "encrypts phone and account numbers, and the secrets of authenticator apps",
    "blind": "finds phone numbers without decrypting them",
    "vapid": "signs Web Push requests",
    "authority": "signs the certificates of this installation",
    "picture": "signs pictures",
}
#: Why the others stay.
FIXED = {
    "digest": "It tells a repeated message from another one that uses its id. Stored digests cannot be made anew, for "
    "erased words are gone; with another key, honest repeats would be refused.",
    "database": "The embedded database knows it too. Restoring a backup into a new data directory makes another one.",
}
#: A browser that comes back within this time gets a cookie by the current key; sign-ins last no longer unused.
COOKIE_GRACE = timedelta(days=30)


class Rotation:
    """Takes the steps for one installation. Every method answers sentences for the person at the terminal."""

    def __init__(self, store: Store, directory: Path, keys: Keys, at: datetime) -> None:
        self._store = store
        self._directory = directory
        self._keys = keys
        self._at = at

    async def rotate(self, name: str) -> list[str]:
        """The next step for a secret. Raises StartupError `fixed_secret`, `rotation_unfinished`, `node_behind`."""
        if name in FIXED:
            raise StartupError("fixed_secret", f"{name} cannot be changed.", hint=FIXED[name])
        if name not in RINGS:
            return await self._replace(name)
        ring = self._ring(name)
        if ring.old:
            raise StartupError(
                "rotation_unfinished",
                f"{name} has an old key still.",
                hint=f"End that rotation first: secrets rotate {name} --finish",
            )
        nodes = await roll_call.living(self._store)
        if ring.next is None:
            ring = self._save(name, ring.announced(fresh_text(name), decode_key(name), self._at))
            if nodes:
                return [f"{name}: a next key is there. Restart every node, one after the other, then run this again."]
        assert ring.next is not None
        self._check_nodes(name, nodes, print_of(name, ring.next.secret), writing=False)
        await self._need(name, [print_of(name, key) for key in ring.secrets[:2]])
        ring = self._save(name, ring.promoted(self._at))
        done = [
            f"{name}: key {ring.current.number} writes from the next start of each node; the former one still reads."
        ]
        if nodes:
            return [*done, f"Restart every node, one after the other, then: secrets rotate {name} --finish"]
        if name == "cookie":
            until = self._at + COOKIE_GRACE
            return [*done, f"After {until:%Y-%m-%d}, when no browser needs it any more: secrets rotate cookie --finish"]
        return [*done, *await self.finish(name)]

    async def finish(self, name: str, *, now: bool = False) -> list[str]:
        """Seals anew and drops the old keys. Raises StartupError `fixed_secret`, `node_behind`, `too_early`."""
        if name not in RINGS:
            raise StartupError("fixed_secret", f"{name} has no old keys: it is changed in one step.")
        ring = self._ring(name)
        nodes = await roll_call.living(self._store)
        self._check_nodes(name, nodes, print_of(name, ring.current.secret), writing=True)
        if name == "cookie" and ring.old and not now:
            since = ring.current.since or self._at
            if self._at < since + COOKIE_GRACE:
                raise StartupError(
                    "too_early",
                    f"Browsers that have not come back since {since:%Y-%m-%d} would be signed out.",
                    hint=f"Wait until {since + COOKIE_GRACE:%Y-%m-%d}, or say --now.",
                )
        sealed = 0 if name == "cookie" else await self._reseal(name)
        count = len(ring.old)
        await self._need(name, [print_of(name, ring.current.secret)])
        self._save(name, ring.pruned())
        told = f"{name}: {count} old key(s) gone" if count else f"{name}: no old key is left"
        return [f"{told}, {sealed} field(s) sealed or indexed anew." if name != "cookie" else f"{told}."]

    async def _reseal(self, name: str) -> int:
        """Until there is nothing left to do: people change their numbers meanwhile."""
        blind = self._keys.blind.pruned() if name == "blind" else self._keys.blind
        field = self._keys.field.secrets
        total = 0
        for repo in (
            PeopleRepo(self._store, PhoneVault(field, blind.secrets)),
            FactorsRepo(self._store, field),
            AccountsRepo(self._store, field),
            OrdersRepo(self._store, field),
        ):
            while changed := await repo.reseal():
                total += changed
        return total

    async def _replace(self, name: str) -> list[str]:
        directory = self._directory
        await self._need(name, [])  # until it is done, the database asks for neither the former key nor the new one
        with locked(directory):
            match name:
                case "vapid":
                    gone = ["vapid.pem"]
                case "picture":
                    gone = ["picture.pem", "picture.key.pem"]
                case _:
                    former = (
                        (directory / FORMER_AUTHORITY).read_bytes() if (directory / FORMER_AUTHORITY).exists() else b""
                    )
                    write_secret(directory / FORMER_AUTHORITY, former + self._keys.ca_cert, replace=True)
                    gone = ["picture.pem", "authority.pem", "authority.key.pem"]
            for file in gone:  # certificates before their keys: what is missing is made, whenever that is
                (directory / file).unlink()
        self._keys = load_keys(directory, self._at)
        await self._need(name, self._keys.known()[name])
        told = {
            "vapid": "Browsers subscribe anew when they next open the app.",
            "picture": "Pictures signed before stay valid: they carry their certificate.",
            "authority": "Every device must trust the new certificate once (/trust). The former one, by which earlier "
            f"signatures are verified, is in {FORMER_AUTHORITY}.",
        }[name]
        return [f"{name}: changed. Nodes use it from their next start.", told]

    def _ring(self, name: str) -> Ring:
        ring: Ring = getattr(self._keys, name)
        return ring

    def _save(self, name: str, ring: Ring) -> Ring:
        with locked(self._directory):
            write_secret(self._directory / name, ring.text().encode(), replace=True)
        self._keys = load_keys(self._directory)
        return ring

    async def _need(self, name: str, prints: list[str]) -> None:
        """Which keys a server must have for this database."""
        await self._store.collection("meta").update_one({"_id": "secrets"}, {"$set": {f"prints.{name}": prints}})

    def _check_nodes(self, name: str, nodes: list[Document], wanted: str, *, writing: bool) -> None:
        """Raises `node_behind` for a node that does not know, or with `writing` does not write with, this key."""
        behind = [node["_id"] for node in nodes if not _has(node.get("secrets", {}).get(name, []), wanted, writing)]
        if behind:
            raise StartupError(
                "node_behind",
                f"{', '.join(sorted(behind))} runs with former secrets.",
                hint="Nothing was changed. Restart every node with the secrets of today, then run this again.",
            )


def _has(known: list[str], wanted: str, writing: bool) -> bool:
    return known[:1] == [wanted] if writing else wanted in known


def overview(keys: Keys, needed: Mapping[str, object]) -> list[str]:
    """One line per key: what `secrets show` prints. Fingerprints are cut: they are for comparing by eye."""
    lines: list[str] = []
    for name, prints in keys.known().items():
        if name not in RINGS:
            lines.append(
                f"{name:<10} current     {prints[0][:16]}  {PURPOSES.get(name, 'tells repeated messages apart')}"
            )
            continue
        ring: Ring = getattr(keys, name)
        for key, fingerprint in zip(ring.keys, prints, strict=True):
            since = f"since {key.since:%Y-%m-%d}" if key.since else "since the first start"
            lines.append(f"{name:<10} {key.state:<7} {key.number:<3} {fingerprint[:16]}  {PURPOSES[name]}; {since}")
    lines += [f"{name}: needs a key that is not here" for name in sorted(needed)]
    return lines
