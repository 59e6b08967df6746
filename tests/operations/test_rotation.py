"""Secrets are changed, step by step, and everything stays readable."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import get_signature_key_version

from handlers.application import make_application
from scripts.hub_process import HubProcess, run_command
from server import certificates, rotation
from server.commands import secrets as secrets_command
from server.errors import Code, StartupError, VouchError
from server.keys import FORMER_AUTHORITY, RINGS, Keys, compare_fingerprints, load_keys, write_secret
from server.people.accounts import NewAccount
from server.people.factor_model import Factor, FactorKind
from server.people.factor_repo import FactorsRepo
from server.realtime import nodes
from server.rings import Ring, State, parse
from server.rotation import Rotation
from server.services import Services
from server.settings import Settings
from server.store import Store
from server.wallet.model import Destination
from server.wallet.repo import AccountsRepo
from tests.conftest import Run, RunningServer
from tests.wire.client import Person

AT = datetime(2026, 11, 22, 4, 25, tzinfo=UTC)
PHONE, OTHER, LATER = "+8613800138000", "+8613800138001", "+8613800138002"


class TestRings:
    def decode(self, text: str) -> bytes:
        return text.encode()

    def test_a_single_word_is_a_key_that_was_never_changed(self) -> None:
        ring = parse("abc\n", self.decode)
        assert (ring.current.number, ring.current.secret, ring.next, ring.old) == (0, b"abc", None, ())
        assert ring.text() == "abc"

    def test_a_key_is_announced_promoted_and_pruned(self) -> None:
        ring = parse("one", self.decode).announced("two", self.decode, AT)
        assert ring.secrets == (b"one", b"two")
        ring = ring.promoted(AT + timedelta(days=1))
        assert ring.secrets == (b"two", b"one")
        assert [key.state for key in ring.keys] == [State.CURRENT, State.OLD]
        ring = ring.pruned()
        assert ring.secrets == (b"two",)
        assert ring.current.number == 1, "a number is never given twice"
        assert [key.number for key in ring.announced("three", self.decode, AT).keys] == [1, 2]

    def test_what_is_written_is_read_again(self) -> None:
        first = parse("one", self.decode)
        second = first.announced("two", self.decode, AT)
        for ring in (first, second, second.promoted(AT), second.promoted(AT).pruned()):
            assert parse(ring.text(), self.decode) == ring

    def test_steps_out_of_order_are_mistakes(self) -> None:
        ring = parse("one", self.decode)
        with pytest.raises(ValueError, match="no next key"):
            ring.promoted(AT)
        with pytest.raises(ValueError, match="already"):
            ring.announced("two", self.decode, AT).announced("three", self.decode, AT)

    def test_no_key_shows_in_its_repr(self) -> None:
        assert "one" not in repr(parse("one", self.decode))


@pytest.fixture
def own_secrets(tmp_path: Path) -> Path:
    directory = tmp_path / "secrets"
    load_keys(directory, AT)
    return directory


class Installation:
    """Nodes that come and go on one set of secrets."""

    def __init__(self, settings: Settings, directory: Path, run: Run[Any]) -> None:
        self.settings = settings
        self.directory = directory
        self.store = Store(settings.mongodb_uri, settings.database)
        self._run = run
        self._nodes: list[Services] = []

    @property
    def keys(self) -> Keys:
        return load_keys(self.directory)

    def start(self, keys: Keys | None = None) -> Services:
        """One more node, with the secrets of now."""
        uri, redis = self.settings.mongodb_uri, self.settings.redis_url
        node = Services(self.settings, keys or self.keys, mongodb_uri=uri, redis_url=redis)
        try:
            self._run(node.start())
        except StartupError:
            node.store.close()
            raise
        self._nodes.append(node)
        return node

    def stop(self, node: Services) -> None:
        self._nodes.remove(node)
        self._run(node.stop())

    def end(self) -> None:
        for node in list(self._nodes):
            self.stop(node)
        self.store.close()

    def rotate(self, name: str, at: datetime = AT) -> list[str]:
        told: list[str] = self._run(Rotation(self.store, self.directory, self.keys, at).rotate(name))
        return told

    def finish(self, name: str, at: datetime = AT, *, now: bool = False) -> list[str]:
        told: list[str] = self._run(Rotation(self.store, self.directory, self.keys, at).finish(name, now=now))
        return told

    def refusal(self, step: Callable[..., object], *arguments: Any) -> StartupError:
        with pytest.raises(StartupError) as caught:
            step(*arguments)
        return caught.value


@pytest.fixture
def here(
    settings: Settings, own_secrets: Path, run: Run[Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    monkeypatch.setattr(nodes, "RENEW_EVERY", 0.2)  # leases are seen to change sooner
    installation = Installation(settings, own_secrets, run)
    yield installation
    installation.end()


def register(services: Services, handle: str, phone: str | None) -> Any:
    account = NewAccount(handle=handle, password="paper and seal", name=handle, phone=phone)
    return services.people.accounts.create(account)


def number_of(node: Services, run: Run[Any], phone: str) -> str:
    """The number that is decrypted for somebody who signs in by it."""
    return str(run(node.people.sessions.sign_in(phone, "paper and seal", "::1", ""))[0].phone)


def test_a_phone_number_survives_every_step_and_the_old_keys_go(here: Installation, run: Run[Any]) -> None:
    before = here.keys
    first = here.start()
    run(register(first, "ann", PHONE))
    for name in ("field", "blind"):
        assert "Restart every node" in here.rotate(name)[0]
        assert here.refusal(here.rotate, name).code == "node_behind"

    second = here.start()  # it knows the next keys
    refusal = here.refusal(here.rotate, "field")
    assert first.node in refusal.message
    assert second.node not in refusal.message
    run(register(second, "ben", OTHER))
    here.stop(first)
    for name in ("field", "blind"):
        assert "writes from the next start" in here.rotate(name)[0]
        assert here.refusal(here.finish, name).code == "node_behind"

    third = here.start()  # it writes with the new keys while the second one still writes with the former ones
    for node in (second, third):
        for phone in (PHONE, OTHER):
            assert number_of(node, run, phone) == phone
            assert taken(node, run, phone)
    run(register(third, "carl", LATER))
    assert taken(second, run, LATER)
    here.stop(second)

    for name in ("field", "blind"):
        assert "1 old key(s) gone" in here.finish(name)[0]
    here.stop(third)
    after = here.keys
    for old, new in ((before.field, after.field), (before.blind, after.blind)):
        assert len(new.keys) == 1
        assert new.current.secret != old.current.secret
    last = here.start()
    assert number_of(last, run, PHONE) == PHONE
    former = hmac.new(before.blind.current.secret, b"phone:" + PHONE.encode(), hashlib.sha256).hexdigest()
    assert run(here.store.collection("people").find_one({"phone_index": former})) is None
    assert here.refusal(here.start, before).code == "secrets_mismatch"


def taken(node: Services, run: Run[Any], phone: str) -> bool:
    with pytest.raises(VouchError) as refusal:
        run(register(node, "eve", phone))
    return refusal.value.code is Code.PHONE_TAKEN


def test_without_running_nodes_one_call_does_it_all(here: Installation, run: Run[Any]) -> None:
    node = here.start()
    run(register(node, "ann", PHONE))
    here.stop(node)
    account = Destination(
        id="b_1", person="p_1", provider="sandbox", holder="Ann", number="12345", ending="45", added_at=AT, usable_at=AT
    )
    accounts = AccountsRepo(here.store, here.keys.field.secrets)
    run(here.store.transact(lambda tx: accounts.insert(tx, account)))
    app = Factor(id="f_1", person="p_1", kind=FactorKind.TOTP, name="Phone", created_at=AT, secret="JBSWY3DPEHPK3PXP")
    run(here.store.transact(lambda tx: FactorsRepo(here.store, here.keys.field.secrets).insert(tx, app)))
    sealed = run(here.store.collection("people").find_one({"handle": "ann"}))
    for name, fields in (("field", 3), ("blind", 1)):
        assert here.rotate(name)[-1] == f"{name}: 1 old key(s) gone, {fields} field(s) sealed or indexed anew."
    assert run(AccountsRepo(here.store, here.keys.field.secrets).get("b_1")) == account
    assert run(FactorsRepo(here.store, here.keys.field.secrets).of("p_1")) == [app]
    anew = run(here.store.collection("people").find_one({"handle": "ann"}))
    assert anew["phone"] != sealed["phone"]
    assert set(anew["phone_index"]).isdisjoint(sealed["phone_index"])
    assert number_of(here.start(), run, PHONE) == PHONE


def test_cookies_keep_their_old_key_until_no_browser_needs_it(here: Installation) -> None:
    here.stop(here.start())
    assert "After 2026-12-22" in here.rotate("cookie")[-1]
    assert here.refusal(here.rotate, "cookie").code == "rotation_unfinished"
    assert here.refusal(here.finish, "cookie", AT + timedelta(days=29)).code == "too_early"
    assert [key.number for key in here.keys.cookie.keys] == [1, 0]
    assert here.finish("cookie", AT + timedelta(days=30)) == ["cookie: 1 old key(s) gone."]
    assert [key.number for key in here.keys.cookie.keys] == [1]
    here.rotate("cookie")
    here.finish("cookie", now=True)
    assert here.keys.cookie.current.number == 2


def test_a_browser_signed_in_before_stays_so_and_gets_a_cookie_by_the_new_key(
    here: Installation, run: Run[Any]
) -> None:
    node = here.start()
    with listening(node, run) as server:
        ann = Person(server, "ann")
        run(ann.register())
    here.stop(node)
    here.rotate("cookie")
    old = ann.cookies["vouch_session"]
    node = here.start()
    with listening(node, run) as ann.server:
        assert run(ann.call("GET", "/me")).status == 200
        run(here.store.collection("sessions").update_many({}, {"$set": {"seen_at": AT - timedelta(days=3650)}}))
        assert run(ann.call("GET", "/me")).status == 200  # not used for a while: the sign-in slides on
    here.stop(node)
    renewed = ann.cookies["vouch_session"]
    assert [get_signature_key_version(cookie) for cookie in (old, renewed)] == [0, 1]
    here.finish("cookie", now=True)
    node = here.start()
    with listening(node, run) as ann.server:
        assert run(ann.call("GET", "/me")).status == 200
        ann.cookies["vouch_session"] = old
        assert run(ann.call("GET", "/me")).status == 401


@contextmanager
def listening(node: Services, run: Run[Any]) -> Iterator[RunningServer]:
    application = make_application(node)
    http = HTTPServer(application)
    socket, port = bind_unused_port()
    http.add_socket(socket)
    yield RunningServer(port, node, application)
    http.stop()
    run(http.close_all_connections())


@pytest.mark.parametrize("name", ["vapid", "picture", "authority"])
def test_keys_of_certificates_are_replaced_in_one_step(here: Installation, run: Run[Any], name: str) -> None:
    here.start()
    before = here.keys
    assert "from their next start" in here.rotate(name)[0]
    after = here.keys
    assert {purpose for purpose, prints in after.known().items() if prints != before.known()[purpose]} == {name}
    assert certificates.signed_by(after.picture_cert, after.ca_cert)
    stored = run(here.store.collection("meta").find_one({"_id": "secrets"}))["prints"]
    assert compare_fingerprints(stored, after.known()) == []
    assert compare_fingerprints(stored, before.known()) == [name]
    if name == "authority":
        assert (here.directory / FORMER_AUTHORITY).read_bytes() == before.ca_cert
    assert here.refusal(here.finish, name).code == "fixed_secret"


@pytest.mark.parametrize("name", sorted(rotation.FIXED))
def test_what_cannot_be_changed_says_why(here: Installation, name: str) -> None:
    refusal = here.refusal(here.rotate, name)
    assert refusal.code == "fixed_secret"
    assert refusal.hint == rotation.FIXED[name]


def test_every_secret_can_be_changed_or_says_why_not(own_secrets: Path) -> None:
    purposes = set(load_keys(own_secrets).known()) | {"database"}
    assert purposes == rotation.PURPOSES.keys() | rotation.FIXED.keys()
    assert set(RINGS) <= rotation.PURPOSES.keys()


def test_an_authority_lost_half_way_is_made_good_at_the_next_start(own_secrets: Path) -> None:
    for file in ("picture.pem", "authority.pem", "authority.key.pem"):
        (own_secrets / file).unlink()
        if file == "authority.key.pem":  # the last one, so the certificates are gone too
            for certificate in ("picture.pem", "authority.pem"):
                (own_secrets / certificate).unlink()
        keys = load_keys(own_secrets)
        assert certificates.signed_by(keys.picture_cert, keys.ca_cert)


def test_secrets_that_cannot_be_written_are_one_line(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    def readonly(*_: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("os.open", readonly)
    with pytest.raises(StartupError) as caught, secrets_command.writable(here.directory):
        write_secret(here.directory / "field", b"x", replace=True)
    assert caught.value.code == "secrets_readonly"


@pytest.mark.slow
def test_the_command_shows_and_changes_them(tmp_path: Path) -> None:
    data = ("--data-dir", str(tmp_path / "data"))
    with HubProcess(tmp_path / "data"):
        shown = run_command("secrets", "show", *data).stdout
        assert "since the first start" in shown
        assert load_keys(tmp_path / "data" / "secrets").field.current.text not in shown
        done = run_command("secrets", "rotate", "field", *data)
        assert (done.returncode, "Restart every node" in done.stdout) == (0, True)
    done = run_command("secrets", "rotate", "all", *data)
    assert done.returncode == 0, done.stdout
    assert "field: 1 old key(s) gone" in done.stdout
    done = run_command("secrets", "rotate", "all", "--finish", *data)
    assert done.returncode == 1
    assert "cookie: Browsers that have not come back" in done.stdout
    assert "field: no old key is left" in done.stdout
    ring: Ring = load_keys(tmp_path / "data" / "secrets").cookie
    assert [key.state for key in ring.keys] == [State.CURRENT, State.OLD]
