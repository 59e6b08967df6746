/** How tall a row will be, before anybody has drawn it. A guess that is right most of the time. Pixels. Pure. */

import type { Row } from './rows'

/** What is beside the words: the gutters and the padding of the bubble; a bubble is never wider than this. */
const BESIDE = 58
const WIDEST = 594
const SHARE = 0.86
const LINE = 22.5
const LETTER = 7.4
/** Chinese, Japanese, Korean, and what is as wide. */
const WIDE_LETTER = 15
const WIDE_FROM = 0x1100

const BUBBLE = 39
const BETWEEN = 3
const BETWEEN_GROUPS = 12
const NAME = 22
const QUOTE = 46
const BELOW = 34
const DAY = 42
const NOTICE = 36
const PICTURE_TALLEST = 320
const FILE = 60

function linesOf(text: string, width: number): number {
  let lines = 1
  let used = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === 10) {
      lines += 1
      used = 0
      continue
    }
    used += code >= WIDE_FROM ? WIDE_LETTER : LETTER
    if (used > width) {
      lines += 1
      used = LETTER
    }
  }
  return lines
}

/** A row of a conversation in a list of this width. */
export function estimatedHeight(row: Row, width: number, group: boolean): number {
  if (row.type === 'day' || row.type === 'unread') return DAY
  if (row.type === 'notice') return NOTICE
  const room = Math.max(120, Math.min(WIDEST, (width - BESIDE) * SHARE))
  let height = BUBBLE + (row.first ? BETWEEN_GROUPS : BETWEEN)
  if (group && !row.own && row.first) height += NAME
  if (row.gone) return height
  height += (linesOf(row.text, room) - 1) * LINE
  if (row.quote) height += QUOTE
  if (row.chips.length > 0 || row.replies) height += BELOW
  for (const each of row.media) {
    const seen = each.width && each.height ? Math.min(PICTURE_TALLEST, (Math.min(room, each.width) * each.height) / each.width) : FILE
    height += seen
  }
  return height
}
