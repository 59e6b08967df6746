"""Pictures that are not the same file: sent twice at once, alike, of others, of who goes; and who sees them when."""

from __future__ import annotations

import asyncio

import pytest
from PIL import ImageEnhance

from server.errors import Code, VouchError
from server.proofs.model import TakePhoto, VerifyState
from server.supervision.views import Report
from tests.proofs.conftest import HERE, Booth
from tests.proofs.scenes import jpeg, opened, page, scene, shot
from tests.supervision.conftest import StageClock

STRANGER = ""


async def refused(code: Code, attempt: object) -> None:
    with pytest.raises(VouchError) as fault:
        await attempt  # type: ignore[misc]
    assert fault.value.code is code


async def test_the_same_picture_twice_at_once_is_one_proof(booth: Booth) -> None:
    """A client that hears nothing asks again while the first is still being sealed."""
    nonce, picture = await booth.ask(), shot(1)
    first, second = await asyncio.gather(*(booth.take(picture, nonce=nonce) for _ in range(2)))
    assert first == second
    assert len(await booth.services.store.collection("live_proofs").find({}).to_list(None)) == 1


async def test_a_code_is_for_the_sign_in_that_has_asked(booth: Booth) -> None:
    body = TakePhoto(nonce=await booth.ask(), picture=shot(1))
    await refused(Code.NOT_LIVE, booth.proofs.photograph(booth.emma, "se_other", booth.pledge, body))
    assert (await booth.proofs.photograph(booth.emma, HERE, booth.pledge, body)).media


async def test_another_page_below_the_same_stand_is_told_and_not_refused(booth: Booth, clock: StageClock) -> None:
    first = await booth.take(jpeg(page(1, 10, noise=1)))
    second = await booth.take(jpeg(page(1, 11, noise=2)))
    assert first.alike is None
    assert second.alike is not None
    assert (second.alike.at, second.alike.own) == (first.at, True)


async def test_what_somebody_else_has_shown_is_found(booth: Booth) -> None:
    """Tom hands Emma's picture in, encoded anew, then in another light."""
    await booth.take(shot(4))

    async def toms(picture: bytes) -> object:
        nonce = (await booth.proofs.ask(booth.tom, "se_tom", booth.pledge, _task())).nonce
        body = TakePhoto(nonce=nonce, picture=picture)
        return await booth.proofs.photograph(booth.tom, "se_tom", booth.pledge, body)

    await refused(Code.PICTURE_REUSED, toms(jpeg(scene(4), quality=70)))
    brighter = await toms(jpeg(ImageEnhance.Contrast(scene(4)).enhance(1.15)))
    assert brighter.alike.own is False  # type: ignore[attr-defined]


async def test_a_film_shown_twice_in_calls_is_told(booth: Booth) -> None:
    picture = scene(6, width=640, height=480)
    more = {"person": booth.emma, "by": booth.tom, "pledge": booth.pledge}
    first = await booth.proofs.from_picture(picture.tobytes(), *picture.size, call="cl_1", key="a", **more)
    same = await booth.proofs.from_picture(picture.tobytes(), *picture.size, call="cl_1", key="b", **more)
    later = await booth.proofs.from_picture(picture.tobytes(), *picture.size, call="cl_2", key="c", **more)
    assert (first.alike, same.alike) == (None, None), "two pictures of one call are alike anyway"
    assert later.alike is not None


async def test_a_photo_is_its_takers_until_it_is_sent(booth: Booth) -> None:
    """Also for those who read the promise, should they come to know its id."""
    proof = await booth.take()
    await refused(Code.NOT_FOUND, booth.proofs.get(booth.tom, proof.id))
    await refused(Code.NOT_FOUND, booth.proofs.picture(booth.tom, proof.id))
    assert (await booth.proofs.get(booth.emma, proof.id)).id == proof.id
    await booth.supervision.judging.report(booth.emma, booth.pledge, 1, Report(media=[proof.media or ""]))
    assert (await booth.proofs.picture(booth.tom, proof.id)).size > 0


async def test_pictures_that_others_took_go_with_the_account_of_whom_they_show(booth: Booth) -> None:
    picture = scene(8, width=320, height=240)
    proof = await booth.proofs.from_picture(
        picture.tobytes(), *picture.size, person=booth.emma, by=booth.tom, call="cl_1"
    )
    await booth.services.store.transact(lambda tx: booth.proofs.on_delete(tx, booth.emma))
    while await booth.services.media.janitor.tidy():
        pass
    await refused(Code.NOT_FOUND, booth.proofs.picture(booth.tom, proof.id))
    kept = await booth.proofs.repo.get(proof.id)
    assert kept.looks == ()
    assert (await booth.proofs.get(booth.tom, proof.id)).sha256 == proof.sha256, "who holds the file can verify it"


async def test_what_was_made_of_a_sealed_picture_resembles_it(booth: Booth) -> None:
    """A messenger's copy, a screen shot, the slip cut off: never unchanged, and never told whose it is."""
    proof = await booth.take(shot(9))
    sealed = opened(await booth.file(proof))
    copies = (
        jpeg(sealed, quality=60),
        jpeg(sealed.resize((sealed.width // 2, sealed.height // 2)), quality=40),
        jpeg(sealed.crop((0, 0, sealed.width, scene(9).height))),
        jpeg(ImageEnhance.Brightness(sealed).enhance(1.1)),
    )
    for copy in copies:
        said = await booth.proofs.verify(STRANGER, "192.0.2.1", copy)
        assert (said.state, said.code) == (VerifyState.RESEMBLES, proof.code)
        assert (said.person, said.pledge) == (None, None)
    said = await booth.proofs.verify(STRANGER, "192.0.2.1", jpeg(scene(10)))
    assert said.state is VerifyState.UNKNOWN


def _task() -> object:
    from server.proofs.model import AskNonce

    return AskNonce(1)
