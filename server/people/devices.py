"""What a sign-in is called in the list of one's sign-ins: browser and system, read from the User-Agent. Pure.

Only names that a person would recognise; versions are left out, for browsers have frozen or faked them.
"""

from __future__ import annotations

import re

#: First match wins: browsers pretend to be the ones below them.
_BROWSERS = (
    (re.compile(r"MicroMessenger/"), "WeChat"),
    (re.compile(r"Edg(?:e|A|iOS)?/"), "Edge"),
    (re.compile(r"OPR/|Opera"), "Opera"),
    (re.compile(r"SamsungBrowser/"), "Samsung Internet"),
    (re.compile(r"UCBrowser/"), "UC Browser"),
    (re.compile(r"QQBrowser/"), "QQ Browser"),
    (re.compile(r"HuaweiBrowser/"), "Huawei Browser"),
    (re.compile(r"Firefox/|FxiOS/"), "Firefox"),
    (re.compile(r"Chrome/|CriOS/|Chromium/"), "Chrome"),
    (re.compile(r"Version/[\d.]+.*Safari/"), "Safari"),
)
_SYSTEMS = (
    (re.compile(r"iPad"), "iPad"),
    (re.compile(r"iPhone|iPod"), "iPhone"),
    (re.compile(r"HarmonyOS|OpenHarmony"), "HarmonyOS"),
    (re.compile(r"Android"), "Android"),
    (re.compile(r"CrOS"), "ChromeOS"),
    (re.compile(r"Windows"), "Windows"),
    (re.compile(r"Macintosh|Mac OS X"), "macOS"),
    (re.compile(r"Linux|X11"), "Linux"),
)
_PROGRAM = re.compile(r"([A-Za-z][A-Za-z0-9 ._-]{0,39})/")


def device_name(user_agent: str) -> str:
    """`Chrome on Linux`, `Safari on iPhone`, the program's own name, or `Unknown device`."""
    browser = next((name for pattern, name in _BROWSERS if pattern.search(user_agent)), None)
    system = next((name for pattern, name in _SYSTEMS if pattern.search(user_agent)), None)
    if browser and system:
        return f"{browser} on {system}"
    if browser or system:
        return browser or system or ""
    program = _PROGRAM.match(user_agent)
    return program[1].strip() if program else "Unknown device"
