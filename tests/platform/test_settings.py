from __future__ import annotations

from pathlib import Path

import pytest

from server.errors import StartupError
from server.settings import ROOT, VARIABLES, Settings, load, unknown_variables


def test_nothing_given_means_the_defaults() -> None:
    assert load({}, {}) == Settings()
    assert Settings().data_dir == ROOT / ".data"
    assert Settings().secrets_path == ROOT / ".data" / "secrets"


def test_every_setting_can_be_set() -> None:
    assert set(VARIABLES) == set(Settings.__struct_fields__)


def test_the_command_line_wins_over_the_environment(tmp_path: Path) -> None:
    environ = {"VOUCH_PORT": "1", "VOUCH_HOST": "0.0.0.0", "VOUCH_SECRETS_DIR": str(tmp_path), "PORT": "3"}
    settings = load({"port": "2", "tls": "1"}, environ)
    assert settings.port == 2
    assert settings.host == "0.0.0.0"
    assert settings.secrets_path == tmp_path
    assert settings.scheme == "https"


def test_lists_are_separated_by_commas() -> None:
    environ = {"VOUCH_PUBLIC_ORIGINS": "https://a.example, http://b.example:81,", "VOUCH_TRUSTED_PROXIES": "10.0.0.0/8"}
    settings = load({}, environ)
    assert settings.public_origins == ("https://a.example", "http://b.example:81")
    assert settings.trusted_proxies == ("10.0.0.0/8",)


def test_calls_can_be_told_where_their_media_come_in() -> None:
    assert Settings().calls_spare
    environ = {"VOUCH_CALLS_WORKERS": "4", "VOUCH_CALLS_SPARE": "0", "VOUCH_CALLS_UDP_PORT": "50000"}
    settings = load({"calls_addresses": "203.0.113.7, 2001:DB8::0:7"}, environ)
    assert (settings.calls_workers, settings.calls_spare, settings.calls_udp_port) == (4, False, 50000)
    assert settings.calls_addresses == ("203.0.113.7", "2001:db8::7")


def test_the_demo_has_a_directory_of_its_own_unless_told_otherwise(tmp_path: Path) -> None:
    assert load({"demo": "1"}, {}).data_dir == ROOT / ".data-demo"
    assert load({"demo": "1", "data_dir": str(tmp_path)}, {}).data_dir == tmp_path


def test_a_relative_directory_is_taken_from_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load({"data_dir": "here"}, {}).data_dir == tmp_path / "here"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("port", "http"),
        ("port", "65536"),
        ("port", "-1"),
        ("port", "８０８０"),
        ("demo", "maybe"),
        ("data_dir", ""),
        ("database", "a b"),
        ("log_level", "loud"),
        ("log_format", "xml"),
        ("limits_factor", "many"),
        ("limits_factor", "0"),
        ("limits_factor", "nan"),
        ("public_origins", "vouch.example"),
        ("public_origins", "https://vouch.example/path"),
        ("trusted_proxies", "proxy"),
        ("sandbox_port", "pay"),
        ("calls_workers", "many"),
        ("calls_workers", "65"),
        ("calls_udp_port", "65536"),
        ("calls_addresses", "vouch.example"),
        ("sandbox_url", "pay.vouch.example"),
        ("sandbox_url", "https://pay.vouch.example/path"),
        ("sandbox_public_url", "ftp://pay.vouch.example"),
        ("push_contact", "admin@vouch.example"),
        ("push_contact", "mailto:the admin"),
        ("push_allow", "https://push.example"),
        ("push_allow", "push.example/path"),
        ("push_allow", "fd00::5"),
        ("stripe_api_base", "localhost:8420"),
        ("alipay_gateway", "https://gateway.example/a b"),
        ("alipay_check_out", "app"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_names_it(field: str, text: str) -> None:
    with pytest.raises(StartupError) as caught:
        load({}, {f"VOUCH_{field.upper()}": text})
    assert caught.value.code == "bad_setting"
    assert str(caught.value).startswith(f"VOUCH_{field.upper()}=")
    with pytest.raises(StartupError, match=f"^--{field.replace('_', '-')}="):
        load({field: text}, {})


def test_variables_that_nothing_reads_are_found() -> None:
    environ = {"VOUCH_PROT": "1", "VOUCH_PORT": "2", "HOME": "/"}
    assert unknown_variables(environ) == ["VOUCH_PROT"]


def test_a_secret_is_itself_or_in_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk_live_of_the_file\n")
    environ = {"VOUCH_STRIPE_KEY": f"file:{tmp_path / 'key'}", "VOUCH_STRIPE_WEBHOOK_SECRET": " whsec_itself "}
    settings = load({}, environ)
    assert settings.stripe_key == "sk_live_of_the_file"
    assert settings.stripe_webhook_secret == "whsec_itself"
    assert "sk_live" not in repr(settings)
    assert "whsec" not in f"{settings}"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("stripe_key", "file:/nowhere/at/all"),
        ("alipay_key", "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"),
        ("alipay_key", "MIIE" * 400),
    ],
)
def test_a_secret_that_cannot_be_read_is_not_repeated(field: str, text: str) -> None:
    with pytest.raises(StartupError) as caught:
        load({}, {f"VOUCH_{field.upper()}": text})
    assert str(caught.value).startswith(f"VOUCH_{field.upper()} ")
    assert text not in str(caught.value)
