"""Writes what is made from the server's types: the clients' TypeScript types, docs/protocol.md, docs/http.md.

`python -m scripts.generate` writes what has changed; with `--check` it writes nothing, lists what differs, and exits 1
if anything does.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from handlers import openapi
from scripts.generation.page import protocol_page
from scripts.generation.typescript import PACKAGE, GenerationError, http_module, protocol_module
from server.services import channel_kinds

ROOT = Path(__file__).resolve().parents[1]


def generated() -> dict[Path, str]:
    """Every generated file and what it must hold. Raises GenerationError."""
    kinds = channel_kinds()
    return {
        PACKAGE / "src" / "generated" / "protocol.ts": protocol_module(kinds),
        PACKAGE / "src" / "generated" / "http.ts": http_module(openapi.document(), kinds),
        ROOT / "docs" / "protocol.md": protocol_page(kinds),
        ROOT / "docs" / "http.md": openapi.markdown(),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when something differs")
    check: bool = parser.parse_args(arguments).check
    try:
        files = generated()
    except GenerationError as fault:
        print(f"generate: {fault}", file=sys.stderr)
        return 2
    differing = [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in differing:
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
        print(f"{'differs' if check else 'written'}: {path.relative_to(ROOT)}")
    if check and differing:
        print("Run `python -m scripts.generate` and commit the result.")
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
