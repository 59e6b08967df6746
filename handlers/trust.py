"""/trust and /ca.crt: how a phone comes to trust this installation's certificate (served with --tls).

The page must be reachable before the phone trusts anything, so it comes over the untrusted connection; the fingerprint
on it is the one that the terminal prints, for those who want to compare.
"""

from __future__ import annotations

import hashlib
import io
import ssl
from collections.abc import Sequence
from pathlib import Path

import msgspec
import segno
from tornado.template import Template
from tornado.web import RequestHandler

from handlers.accounts import preferred_language

_PAGE = Template(Path(__file__).with_name("trust.html").read_text(encoding="utf-8"), autoescape="xhtml_escape")


class Words(msgspec.Struct, frozen=True):
    """What the page says in one language."""

    lang: str
    title: str
    why: str
    download: str
    scan: str
    fingerprint: str
    then: str
    steps: tuple[tuple[str, str], ...]
    other_lang: str
    other: str


WORDS = {
    "en": Words(
        lang="en",
        title="Trust this Vouch",
        why="Phones give camera and microphone to pages they trust. This installation has a certificate of its own, "
        "so your device has to be told once. Only accept it if you know who runs this server.",
        download="Download the certificate",
        scan="Scan this with the phone that should trust it.",
        fingerprint="Its SHA-256 fingerprint, as the server's terminal shows it:",
        then="Then, on your device:",
        steps=(
            (
                "iPhone, iPad",
                "Settings › Profile downloaded › Install. Then General › About › Certificate Trust Settings: on.",
            ),
            (
                "Android",
                "Settings › Security › More security settings › Install from storage › CA certificate › the file.",
            ),
            ("macOS", "Open the file, add it to the System keychain, open it there and set Trust to Always Trust."),
            (
                "Windows",
                "Open the file › Install certificate › Local computer › Trusted Root Certification Authorities.",
            ),
            ("Firefox", "Settings › Privacy & Security › Certificates › View certificates › Authorities › Import."),
        ),
        other_lang="zh-CN",
        other="中文",
    ),
    "zh-CN": Words(
        lang="zh-CN",
        title="信任这台守约服务器",
        why="手机只把摄像头和麦克风交给受信任的网页。这台服务器用的是自己的证书，所以要先告诉你的设备一次。"
        "只有在你知道服务器由谁运行时才接受它。",
        download="下载证书",
        scan="用需要信任它的手机扫一扫。",
        fingerprint="证书的 SHA-256 指纹，应与服务器终端显示的一致：",
        then="然后在你的设备上：",
        steps=(
            (
                "iPhone、iPad",
                "设置 › 已下载描述文件 › 安装。再到 通用 › 关于本机 › 证书信任设置，把它打开。",
            ),
            ("安卓", "设置 › 安全 › 更多安全设置 › 从存储设备安装 › CA 证书，选择下载的文件。"),
            ("macOS", "打开文件，加入“系统”钥匙串，在那里双击它，把“信任”设为“始终信任”。"),
            ("Windows", "打开文件 › 安装证书 › 本地计算机 › 受信任的根证书颁发机构。"),
            ("Firefox", "设置 › 隐私与安全 › 证书 › 查看证书 › 证书颁发机构 › 导入。"),
        ),
        other_lang="en",
        other="English",
    ),
}


def fingerprint(ca_cert_pem: bytes) -> str:
    """SHA-256 of the certificate in pairs of capitals, as every system shows it."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(ca_cert_pem.decode())).digest().hex(":").upper()


def terminal_code(url: str) -> str:
    """A QR code of the page for a terminal."""
    out = io.StringIO()
    segno.make(url + "/trust", error="m").terminal(out, compact=True)
    return out.getvalue()


class TrustPage(RequestHandler):
    def initialize(self, ca_cert_pem: bytes, origin: str) -> None:
        self._fingerprint = fingerprint(ca_cert_pem)
        self._origin = origin

    def get(self) -> None:
        lang = self.get_query_argument("lang", "")
        if lang not in WORDS:
            lang = preferred_language(self.request.headers.get("Accept-Language", ""))
        code = segno.make(self._origin + "/trust", error="m").svg_inline(
            scale=5, border=2, dark="#1f2a37", light="#fff"
        )
        self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.finish(_PAGE.generate(words=WORDS[lang], code=code, pairs=self._fingerprint.split(":")))


class AuthorityCertificate(RequestHandler):
    def initialize(self, ca_cert_pem: bytes) -> None:
        self._der = ssl.PEM_cert_to_DER_cert(ca_cert_pem.decode())

    def get(self) -> None:
        self.set_header("Content-Type", "application/x-x509-ca-cert")
        self.set_header("Content-Disposition", 'attachment; filename="vouch-authority.crt"')
        self.finish(self._der)


def routes(ca_cert_pem: bytes, origin: str) -> Sequence[tuple[str, type[RequestHandler], dict[str, object]]]:
    """`origin` is where a phone reaches this server, such as https://192.168.1.20:8080."""
    return [
        (r"/trust", TrustPage, {"ca_cert_pem": ca_cert_pem, "origin": origin}),
        (r"/ca\.crt", AuthorityCertificate, {"ca_cert_pem": ca_cert_pem}),
    ]
