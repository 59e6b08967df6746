"""A receipt drawn as PDF, one page. Takes some 10 ms: call it in a thread.

Chinese stands in the predefined font STSong-Light with Unicode encoding (ISO 32000-1, 9.7.5.2): every reader draws it
with a font of its own, the file stays at a few kilobytes, and its text can be searched and copied.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterator

import segno
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A5
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from server.wallet.receipts import Receipt

_LATIN, _BOLD, _CHINESE = "Helvetica", "Helvetica-Bold", "STSong-Light"
_INK, _INK_2, _LINE, _SEAL = HexColor("#1F2A37"), HexColor("#5B6675"), HexColor("#E4DFD6"), HexColor("#B3261E")
_WIDTH, _HEIGHT = A5  # points
_MARGIN = 40.0
_LABEL = 96.0
_QR = 92.0
#: stands for what the two fonts do not have (emoji)
_UNKNOWN = "□"

pdfmetrics.registerFont(UnicodeCIDFont(_CHINESE))


def draw(receipt: Receipt) -> bytes:
    """The PDF; the same receipt has the same bytes."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A5, invariant=1, lang=receipt.language.value)
    canvas.setTitle(f"{receipt.title} {receipt.amount}")
    canvas.setAuthor("Vouch")
    canvas.setSubject(receipt.what)
    _seal(canvas, _WIDTH - _MARGIN - 22, _HEIGHT - _MARGIN - 14)
    y = _HEIGHT - _MARGIN - 12
    _write(canvas, _MARGIN, y, receipt.title, 13, _INK_2)
    y -= 40
    _write(canvas, _MARGIN, y, receipt.amount, 26, _INK, bold=True)
    y -= 20
    _write(canvas, _MARGIN, y, receipt.what, 12, _INK_2)
    y -= 16
    canvas.setStrokeColor(_LINE)
    canvas.line(_MARGIN, y, _WIDTH - _MARGIN, y)
    y -= 20
    for label, text in receipt.rows:
        _write(canvas, _MARGIN, y, label, 9, _INK_2)
        for line in _wrapped(text, 10, _WIDTH - 2 * _MARGIN - _LABEL):
            _write(canvas, _MARGIN + _LABEL, y, line, 10, _INK)
            y -= 15
        y -= 4
    _foot(canvas, receipt)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _foot(canvas: Canvas, receipt: Receipt) -> None:
    """The QR code and what it is for, at the foot of the page."""
    left = _MARGIN + _QR + 14
    y = _MARGIN + _QR - 12
    _code(canvas, receipt.address, _MARGIN, _MARGIN)
    canvas.linkURL(receipt.address, (_MARGIN, _MARGIN, _MARGIN + _QR, _MARGIN + _QR))
    lines = [*((line, 9.0) for line in _wrapped(receipt.check, 9, _WIDTH - _MARGIN - left))]
    for text in receipt.small:
        lines += [(line, 8.0) for line in _wrapped(text, 8, _WIDTH - _MARGIN - left)]
    for line, size in lines:
        _write(canvas, left, y, line, size, _INK_2)
        y -= 13


def _seal(canvas: Canvas, x: float, y: float) -> None:
    """The round seal, with the two characters of the name."""
    canvas.setStrokeColor(_SEAL)
    canvas.setLineWidth(1.6)
    canvas.circle(x, y, 21)
    canvas.setFillColor(_SEAL)
    canvas.setFont(_CHINESE, 14)
    canvas.drawCentredString(x, y - 5, "守约")
    canvas.setLineWidth(0.8)


def _code(canvas: Canvas, address: str, x: float, y: float) -> None:
    rows = [bytes(row) for row in segno.make_qr(address, error="m").matrix]
    side = _QR / len(rows)
    canvas.setFillColor(_INK)
    for number, row in enumerate(rows):
        for column, dark in enumerate(row):
            if dark:  # a little larger than its place, so that no reader shows lines between
                canvas.rect(x + column * side, y + _QR - (number + 1) * side, side + 0.1, side + 0.1, stroke=0, fill=1)


def _write(canvas: Canvas, x: float, y: float, text: str, size: float, colour: Color, *, bold: bool = False) -> None:
    line = canvas.beginText(x, y)
    line.setFillColor(colour)
    for font, run in _runs(text, bold=bold):
        line.setFont(font, size)
        line.textOut(run)
    canvas.drawText(line)


def _runs(text: str, *, bold: bool = False) -> Iterator[tuple[str, str]]:
    """The text cut where the font changes: Latin letters look better in a Latin one."""
    latin = _BOLD if bold else _LATIN
    run, font = "", latin
    for character in unicodedata.normalize("NFC", text):
        shown = character if ord(character) <= 0xFFFF else _UNKNOWN
        wanted = latin if _is_latin(shown) else _CHINESE
        if wanted != font and run:
            yield font, run
            run = ""
        font = wanted
        run += shown
    if run:
        yield font, run


def _is_latin(character: str) -> bool:
    """Whether the standard Latin fonts have it."""
    try:
        character.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _wrapped(text: str, size: float, width: float) -> Iterator[str]:
    """Lines of at most `width` points, broken at spaces where there are some, and anywhere else."""
    line = ""
    for character in " ".join(text.split()):
        if line and _length(line + character, size) > width:
            head, space, tail = line.rpartition(" ")
            keeps_word = bool(space) and character != " "
            yield head if keeps_word else line
            line = (tail if keeps_word else "") + ("" if character == " " else character)
        else:
            line += character
    if line:
        yield line


def _length(text: str, size: float) -> float:
    return sum(float(pdfmetrics.stringWidth(run, font, size)) for font, run in _runs(text))
