"""What is generated is up to date, complete, and true: every frame shown on the page is one that the server speaks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from scripts import generate
from scripts.generation import page, words
from scripts.generation.schemas import CLIENT_FRAMES, SERVER_FRAMES, tag
from server.realtime import protocol as p
from server.services import channel_kinds


@pytest.fixture(scope="module")
def files() -> dict[Path, str]:
    return generate.generated()


@pytest.fixture(scope="module")
def protocol_page() -> str:
    return page.protocol_page(channel_kinds())


def test_generated_files_are_up_to_date(files: dict[Path, str]) -> None:
    assert [path.name for path, text in files.items() if path.read_text("utf-8") != text] == []


def test_check_lists_what_differs_and_writes_nothing(
    files: dict[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    present, missing = tmp_path / "present.md", tmp_path / "docs" / "missing.md"
    present.write_text("old")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "generated", lambda: {present: "new", missing: "new"})
    assert generate.main(["--check"]) == 1
    assert "differs: present.md\ndiffers: docs/missing.md" in capsys.readouterr().out
    assert present.read_text() == "old"
    assert generate.main([]) == 0
    assert [present.read_text(), missing.read_text()] == ["new", "new"]
    assert generate.main(["--check"]) == 0


def test_missing_node_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "")
    assert generate.main([]) == 2
    assert capsys.readouterr().err == "generate: Node is missing: install Node 20.19 or later.\n"


def test_typescript_has_a_union_member_for_every_frame_and_entry(files: dict[Path, str]) -> None:
    text = next(text for path, text in files.items() if path.name == "protocol.ts")
    for frame in (*CLIENT_FRAMES, *SERVER_FRAMES):
        assert f"t: '{tag(frame)}'" in text
    for kind in channel_kinds():
        for entry in kind.entries:
            assert f"EntryOf<'{entry.name}', {entry.body.__name__}>" in text


def test_http_types_come_without_machine_made_names(files: dict[Path, str]) -> None:
    text = next(text for path, text in files.items() if path.name == "http.ts")
    assert re.findall(r"export (?:type|interface) \w*\d\b", text) == []


@pytest.mark.parametrize("sign", [">", "<"])
def test_the_session_on_the_page_is_spoken_by_the_server(protocol_page: str, sign: str) -> None:
    union = p.ClientFrame if sign == ">" else p.ServerFrame
    decoder = msgspec.json.Decoder(union)
    lines = re.findall(rf"^{sign} (\{{.*\}})$", protocol_page, re.MULTILINE)
    frames = [decoder.decode(line) for line in lines]
    assert len(frames) >= 8
    # What the server leaves out is left out here as well.
    if sign == "<":
        assert [msgspec.json.encode(frame).decode() for frame in frames] == lines


def test_examples_in_the_prose_are_frames_and_entries(protocol_page: str) -> None:
    for example in re.findall(r"^```json\n(.*)\n```$", protocol_page, re.MULTILINE):
        msgspec.json.decode(example, type=p.ClientFrame if '"t"' in example else p.Entry)


def test_entries_on_the_page_have_bodies_of_their_kind(protocol_page: str) -> None:
    conversation = next(kind for kind in channel_kinds() if kind.name == "conv")
    for line in re.findall(r"^[<>] (\{.*\})$", protocol_page, re.MULTILINE):
        frame = msgspec.json.decode(line)
        for entry in [*frame.get("page", {}).get("entries", []), *([frame["entry"]] if "entry" in frame else [])]:
            kind = conversation.entry(entry["kind"])
            assert kind is not None
            msgspec.convert(entry["body"], kind.body)


def test_every_kind_of_frame_code_and_close_is_described(protocol_page: str) -> None:
    for frame in (*CLIENT_FRAMES, *SERVER_FRAMES):
        assert f"#### `{tag(frame)}`" in protocol_page
    for close in p.Close:
        assert f"| {close.value} | {close.name.lower()} |" in protocol_page
    assert "<!-- table" not in protocol_page
    assert "appends of one person | 240 per 1 minute |" in protocol_page


def test_words_speak_of_nothing_that_is_gone() -> None:
    kinds = channel_kinds()
    known = {(kind.name, name) for kind in kinds for name in [*kind.signals, *(entry.name for entry in kind.entries)]}
    assert set(words.MEANINGS) == known
    assert set(words.CHANNELS) == {kind.name for kind in kinds}
    assert set(words.ANSWERS) == {tag(frame) for frame in get_args(p.ClientFrame)}


def test_something_without_words_stops_the_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(words.MEANINGS, ("conv", "message"))
    with pytest.raises(KeyError):
        page.protocol_page(channel_kinds())
