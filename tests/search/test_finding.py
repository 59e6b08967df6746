"""What is found, by whom, and what is not: rights, filters, edits, deletions, pages. On the real log and database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pytest

from server.clock import to_ms
from server.errors import Code, VouchError
from server.media.model import Media, MediaKind
from server.search import writer
from server.search.model import Filters, NameMatch, Range, SearchKind
from tests.search.conftest import Library


@pytest.fixture(params=["shelf", "blocks"], autouse=True)
def layout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds for messages that are not packed yet, and for packed ones."""
    if request.param == "blocks":
        monkeypatch.setattr(writer, "SHELF_ROWS", 2)
        monkeypatch.setattr(writer, "BLOCK_MESSAGES", 5)


def thing(kind: MediaKind, name: str = "", number: int = 0) -> Media:
    return Media(id=f"m_{number:026}", kind=kind, name=name, type="a/b", size=1)


async def refused(code: Code, action: Awaitable[Any]) -> VouchError:
    with pytest.raises(VouchError) as caught:
        await action
    assert caught.value.code is code
    return caught.value


async def test_words_are_found_where_one_is_and_nowhere_else(library: Library) -> None:
    lin, mei, ada = await library.friends("lin", "mei", "ada")
    tea, alone = await library.group(lin, mei), await library.direct(lin, ada)
    here = await library.say(mei, tea, "我们明天去图书馆 at Noon")
    there = await library.say(ada, alone, "The café by the 图书馆")
    assert await library.numbers(lin, "图书馆") == [there, here]
    assert await library.numbers(mei, "图书馆") == [here]
    assert await library.numbers(ada, "图书馆") == [there]
    assert await library.numbers(lin, "图") == [there, here]
    assert await library.numbers(lin, "书图") == []
    assert await library.numbers(lin, "CAFE") == [there]
    assert await library.numbers(lin, "no") == [here], "the last word by its beginning"
    assert await library.numbers(lin, "no 图书馆") == []
    assert await library.numbers(lin, "noon 图书") == [here]
    hit = (await library.find(mei, "noon 图书")).hits[0]
    assert (hit.conversation, hit.entry.by, hit.entry.body["text"]) == (tea, mei, "我们明天去图书馆 at Noon")
    assert hit.ranges == [Range(5, 7), Range(12, 16)]


async def test_a_run_matches_as_it_is_written_and_a_phrase_as_it_is_quoted(library: Library) -> None:
    lin, mei = await library.friends("lin", "mei")
    room = await library.direct(lin, mei)
    await library.say(lin, room, "书读图书，读书馆")  # all the pairs, but not in this order
    whole = await library.say(lin, room, "图书馆读书")
    await library.say(lin, room, "a morning, good for reading")
    phrase = await library.say(mei, room, "Good, morning")
    assert await library.numbers(lin, "图书馆") == [whole]
    assert await library.numbers(lin, '"good morning"') == [phrase]
    assert len(await library.numbers(lin, "good morning")) == 2


async def test_strangers_former_members_and_late_joiners(library: Library) -> None:
    lin, mei, ada = await library.friends("lin", "mei", "ada")
    closed = await library.group(lin, mei)
    first = await library.say(mei, closed, "whisper one")
    assert await library.numbers(ada, "whisper") == []
    await refused(Code.NOT_FOUND, library.find(ada, "whisper", conversation=closed))

    await library.chat.add(lin, closed, [ada])
    second = await library.say(mei, closed, "whisper two")
    assert await library.numbers(ada, "whisper") == [second], "what was said before one's time stays unseen"
    assert await library.numbers(lin, "whisper") == [second, first]

    await library.chat.remove(lin, closed, mei)
    assert await library.numbers(mei, "whisper") == [], "whoever has gone finds nothing, not even their own words"
    await refused(Code.NOT_FOUND, library.find(mei, "", conversation=closed, person=mei))

    await library.chat.add(lin, closed, [mei])
    third = await library.say(lin, closed, "whisper three")
    assert await library.numbers(mei, "whisper") == [third]


async def test_filters(library: Library) -> None:
    lin, mei, ada = await library.friends("lin", "mei", "ada")
    tea, alone = await library.group(lin, mei, ada), await library.direct(lin, mei)
    hello = await library.say(mei, tea, "hello there")
    linked = await library.say(ada, tea, "hello https://example.org/tea")
    alone_hello = await library.say(mei, alone, "hello alone")
    picture = await library.carry(mei, tea, "hello", thing(MediaKind.PICTURE, "IMG_1.jpg", 1))
    voice = await library.carry(ada, tea, "", thing(MediaKind.VOICE, "", 2), thing(MediaKind.FILE, "茶单 Menü.pdf", 3))
    assert await library.numbers(lin, "hello", person=mei) == [picture, alone_hello, hello]
    assert await library.numbers(lin, "hello", person=mei, conversation=tea) == [picture, hello]
    assert await library.numbers(lin, "hello", kind=SearchKind.LINK) == [linked]
    assert await library.numbers(lin, "", kind=SearchKind.PICTURE) == [picture]
    assert await library.numbers(lin, "", kind=SearchKind.VOICE) == [voice]
    assert await library.numbers(lin, "", kind=SearchKind.TEXT, person=mei) == [alone_hello, hello]
    assert await library.numbers(lin, "", person=ada) == [voice, linked]
    assert await library.numbers(lin, "", person=mei, kind=SearchKind.VIDEO) == []
    by_name = (await library.find(lin, "menu 茶")).hits
    assert [(hit.entry.seq, hit.ranges, hit.names) for hit in by_name] == [
        (voice, [], [NameMatch(1, [Range(0, 1), Range(3, 7)])])
    ]


async def test_dates(library: Library) -> None:
    lin, mei = await library.friends("lin", "mei")
    room = await library.direct(lin, mei)
    said = [await library.say(lin, room, f"day {number}") for number in range(6)]
    # The log's own times are moved, as if the days had passed; then the index is made from it.
    entries = library.services.store.collection("entries")
    now = library.services.clock.now()
    for number, seq in enumerate(said):
        at = now + timedelta(days=number - 10)
        await entries.update_one({"ch": f"conv:{room}", "seq": seq}, {"$set": {"at": at}})
    await library.made_anew(room)
    day = 86_400_000
    start = to_ms(now) - 10 * day
    assert await library.numbers(lin, "day", since=start + 2 * day - 1000) == [said[5], said[4], said[3], said[2]]
    assert await library.numbers(lin, "day", until=start + 2 * day - 1000) == [said[1], said[0]]
    assert await library.numbers(lin, "day", since=start + day - 1000, until=start + day + 1000) == [said[1]]
    assert await library.numbers(lin, "day", since=to_ms(now)) == []


async def test_pages_hold_everything_once_in_order(library: Library) -> None:
    lin, mei, ada = await library.friends("lin", "mei", "ada")
    rooms = [await library.direct(lin, mei), await library.direct(lin, ada), await library.group(lin, mei, ada)]
    said = [(rooms[n % 3], await library.say(lin, rooms[n % 3], f"promise {n}")) for n in range(17)]
    for limit in (1, 4, 16, 17, 50):
        found, before = list[tuple[str, int]](), None
        while True:
            page = await library.find(lin, "promise", before=before, limit=limit)
            assert 0 < len(page.hits) <= limit
            found += [(hit.conversation, hit.entry.seq) for hit in page.hits]
            ats = [hit.entry.at // 1000 for hit in page.hits]
            assert ats == sorted(ats, reverse=True)
            before = page.next
            if before is None:
                break
        assert sorted(found) == sorted(said), limit
        for room in rooms:
            seqs = [seq for id, seq in found if id == room]
            assert seqs == sorted(seqs, reverse=True)


async def test_a_page_of_near_misses_says_where_to_go_on(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many texts almost match, one request reads some of them, and the next goes on from there."""
    monkeypatch.setattr("server.search.service._READ_MOST", 4)
    lin, mei = await library.friends("lin", "mei")
    room = await library.direct(lin, mei)
    wanted = await library.say(lin, room, "good morning")
    for number in range(11):
        await library.say(mei, room, f"a morning {number}, how good")
    found, before, pages = list[int](), None, 0
    while pages == 0 or before is not None:
        page = await library.find(lin, '"good morning"', before=before, limit=2)
        found += [hit.entry.seq for hit in page.hits]
        before, pages = page.next, pages + 1
    assert found == [wanted]
    assert pages > 1


async def test_edits_take_the_place_of_old_words(library: Library) -> None:
    lin, mei = await library.friends("lin", "mei")
    room = await library.direct(lin, mei)
    seqs = [await library.say(lin, room, f"alpha {number}") for number in range(6)]
    assert len(await library.numbers(mei, "alpha")) == 6
    for seq in (seqs[0], seqs[5]):
        await library.append(lin, room, "edit", {"text": "beta 图书馆"}, ref=seq)
        await library.append(lin, room, "edit", {"text": "gamma 图书"}, ref=seq)
    assert await library.numbers(mei, "alpha") == seqs[4:0:-1]
    assert await library.numbers(mei, "beta") == []
    assert await library.numbers(mei, "gamma 图书") == [seqs[5], seqs[0]], "in their old places"
    assert (await library.find(mei, "gamma")).hits[0].entry.body["text"] == "gamma 图书"
    assert {"beta", "书馆"}.isdisjoint(await library.kept())


async def test_media_stay_with_an_edited_message(library: Library) -> None:
    lin, mei = await library.friends("lin", "mei")
    room = await library.direct(lin, mei)
    seq = await library.carry(lin, room, "the list", thing(MediaKind.FILE, "shopping.txt"))
    await library.append(lin, room, "edit", {"text": "our list"}, ref=seq)
    hit = (await library.find(mei, "our shopping")).hits[0]
    assert hit.entry.seq == seq
    assert hit.entry.body["media"][0]["name"] == "shopping.txt"


async def test_deleted_words_are_nowhere(library: Library) -> None:
    lin, mei = await library.friends("lin", "mei")
    room = await library.direct(lin, mei)
    seqs = [await library.say(lin, room, f"secret{number} 秘密") for number in range(5)]
    assert "secret3" in await library.kept()
    for seq in (seqs[0], seqs[3], seqs[4]):
        await library.append(lin, room, "delete", {}, ref=seq)
    assert await library.numbers(mei, "秘密") == [seqs[2], seqs[1]]
    assert {term for term in await library.kept() if term.startswith("secret")} == {"secret1", "secret2"}


async def test_words_of_a_deleted_account_are_nowhere(library: Library) -> None:
    lin, mei, ada = await library.friends("lin", "mei", "ada")
    room = await library.group(lin, mei, ada)
    for number in range(4):
        await library.say(mei, room, f"meiword{number} 誓言")
        await library.say(ada, room, f"adaword{number} 誓言")
    assert len(await library.numbers(lin, "誓言")) == 8
    await library.delete_account(mei)
    found = (await library.find(lin, "誓言")).hits
    assert {hit.entry.by for hit in found} == {ada}
    kept = await library.kept()
    assert not [term for term in kept if term.startswith("meiword") or term == f"@{mei}"]
    assert {f"adaword{number}" for number in range(4)} <= kept
    assert await library.numbers(lin, "", person=mei) == []


async def test_what_is_being_said_is_checked_against_the_log(library: Library) -> None:
    """The index is a moment behind: a message that is gone already is not shown, whatever the index says."""
    lin, mei = await library.friends("lin", "mei")
    room = await library.direct(lin, mei)
    seq = await library.say(lin, room, "fleeting")
    await library.indexed()
    await library.services.store.collection("entries").update_one(
        {"ch": f"conv:{room}", "seq": seq}, {"$set": {"body": {}, "gone": True}}
    )
    assert await library.numbers(lin, "fleeting") == []


async def test_a_query_needs_something_to_look_for_and_a_cursor_comes_from_a_page(library: Library) -> None:
    (lin,) = await library.people("lin")
    for query in ("", " ", "?!", '""', "😀"):
        assert (await refused(Code.BAD_REQUEST, library.find(lin, query))).field == "q"
    for before in ("", "x", "1", "a.b.c_1", "1.x.c_1", "1..c_1"):
        assert (await refused(Code.BAD_REQUEST, library.find(lin, "word", before=before))).field == "before"
    assert (await library.find(lin, "word", before="1.2.c_" + "9" * 60)).hits == []


async def test_one_query_at_a_time(library: Library) -> None:
    lin, mei = await library.friends("lin", "mei")
    await library.direct(lin, mei)
    await library.indexed()
    search = library.services.search
    answers = await asyncio.gather(
        *(search.find(lin, "word", Filters(), None, 20) for _ in range(4)),
        search.find(mei, "word", Filters(), None, 20),
        return_exceptions=True,
    )
    faults = [answer for answer in answers if isinstance(answer, VouchError)]
    assert [fault.code for fault in faults] == [Code.TOO_OFTEN] * 2, "the second waits, the third is refused"
    assert not isinstance(answers[-1], BaseException), "others do not wait"
    assert (await library.find(lin, "word")).hits == []
