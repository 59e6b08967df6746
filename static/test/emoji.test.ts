import { describe, expect, it } from 'vitest'

import { emojiFrom, found, GROUPS, inTone, isEmojiOnly, TONES, type EmojiRow } from '../src/chat/emoji'
import rows from '../src/emoji/emoji.json'

const all = emojiFrom(rows as unknown as EmojiRow[])
const names = (query: string): string[] => found(all, query, 5).map((each) => each.emoji)

describe('emoji', () => {
  it('are all there, in groups', () => {
    expect(all.length).toBeGreaterThan(1_800)
    expect(new Set(all.map((each) => each.group))).toEqual(new Set(GROUPS))
    expect(all.every((each) => each.english[0] && each.chinese[0])).toBe(true)
  })

  it.each([
    ['rocket', '🚀'],
    ['火箭', '🚀'],
    ['thumbs up', '👍️'],
    ['心', '❤️'],
    ['birthday', '🎂'],
  ])('are found by %s', (query, emoji) => {
    expect(found(all, query, 40).map((each) => each.emoji.replace('\ufe0f', ''))).toContain(emoji.replace('\ufe0f', ''))
  })

  it('are found by nothing else', () => {
    expect(names('qqqq')).toEqual([])
    expect(names('  ')).toEqual([])
  })

  it('have skin tones that are single signs', () => {
    const segments = new Intl.Segmenter('en', { granularity: 'grapheme' })
    const toned = all.filter((each) => each.tones !== 0)
    expect(toned.length).toBeGreaterThan(250)
    for (const each of toned) {
      for (const tone of TONES) expect(Array.from(segments.segment(inTone(each, tone)))).toHaveLength(1)
      expect(inTone(each, 'dark')).not.toBe(each.emoji)
    }
    expect(inTone({ emoji: '✌️', group: 'people', english: [], chinese: [], tones: 1 }, 'light')).toBe('✌🏻')
  })

  it('fit into a reaction', () => {
    // The server counts code points, and takes sixteen.
    for (const each of all) for (const tone of TONES) expect([...inTone(each, tone)].length).toBeLessThanOrEqual(16)
  })

  it.each<[string, boolean]>([
    ['🎉', true],
    ['👍🏽 ❤️', true],
    ['👨‍👩‍👧', true],
    ['🇨🇳', true],
    ['1️⃣', true],
    ['🎉🎉🎉🎉', false],
    ['ok 🎉', false],
    ['12', false],
    ['', false],
  ])('%j alone: %s', (text, alone) => {
    expect(isEmojiOnly(text)).toBe(alone)
  })
})
