/** Emoji as content: which texts are nothing else, which ones are at hand. Pure. */

/** Offered at once; all others are in the picker. */
export const AT_HAND = ['👍', '❤️', '😂', '🎉', '😮', '😢'] as const

/** So many alone are shown large. */
const LARGE_MOST = 3
const LONGEST = 60

const PICTURE = /\p{Extended_Pictographic}|\p{Regional_Indicator}{2}|[0-9#*]\ufe0f?\u20e3/u
const segments = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** One to three emoji and nothing else. */
export function isEmojiOnly(text: string): boolean {
  const bare = text.trim()
  if (bare === '' || bare.length > LONGEST) return false
  const signs = Array.from(segments.segment(bare), ({ segment }) => segment).filter((sign) => sign.trim() !== '')
  return signs.length <= LARGE_MOST && signs.every((sign) => PICTURE.test(sign) && !/^[0-9#*©®]$/u.test(sign))
}

export const GROUPS = ['smileys', 'people', 'nature', 'food', 'places', 'activities', 'objects', 'symbols', 'flags'] as const
export type Group = (typeof GROUPS)[number]

/** The numbers of these groups in the data. */
const NUMBERS: Readonly<Record<number, Group>> = { 0: 'smileys', 1: 'people', 3: 'nature', 4: 'food', 5: 'places', 6: 'activities', 7: 'objects', 8: 'symbols', 9: 'flags' }

export const TONES = ['plain', 'light', 'mediumLight', 'medium', 'mediumDark', 'dark'] as const
export type Tone = (typeof TONES)[number]

const TONE_SIGNS: Readonly<Record<Tone, string>> = { plain: '', light: '🏻', mediumLight: '🏼', medium: '🏽', mediumDark: '🏾', dark: '🏿' }

/** A row of emoji.json: emoji, group, English words, Chinese words (names first, divided by |), skin tones. */
export type EmojiRow = readonly [emoji: string, group: number, english: string, chinese: string, tones: 0 | 1 | readonly string[]]

export interface Emoji {
  readonly emoji: string
  readonly group: Group
  readonly english: readonly string[]
  readonly chinese: readonly string[]
  readonly tones: 0 | 1 | readonly string[]
}

export function emojiFrom(rows: readonly EmojiRow[]): Emoji[] {
  return rows.flatMap(([emoji, number, english, chinese, tones]) => {
    const group = NUMBERS[number]
    return group ? [{ emoji, group, english: english.split('|'), chinese: chinese.split('|'), tones }] : []
  })
}

/** The emoji in a skin tone, where it has any. */
export function inTone({ emoji, tones }: Emoji, tone: Tone): string {
  if (tone === 'plain' || tones === 0) return emoji
  if (tones !== 1) return tones[TONES.indexOf(tone) - 1] ?? emoji
  const [first = '', ...rest] = [...emoji]
  return first + TONE_SIGNS[tone] + rest.join('').replace(/^\ufe0f/u, '')
}

/** What fits the words in either language: names before other words, beginnings before what is within. */
export function found(all: readonly Emoji[], query: string, most: number): Emoji[] {
  const wanted = query.trim().toLocaleLowerCase()
  if (wanted === '') return []
  const rank = ({ emoji, english, chinese }: Emoji): number => {
    if (emoji === wanted) return 0
    const words = [...english, ...chinese]
    const names = [english[0] ?? '', chinese[0] ?? '']
    if (names.some((name) => name === wanted)) return 0
    if (names.some((name) => name.toLocaleLowerCase().startsWith(wanted))) return 1
    if (words.some((word) => word.startsWith(wanted))) return 2
    return words.some((word) => word.toLocaleLowerCase().includes(wanted)) ? 3 : 4
  }
  return all
    .map((each) => ({ each, rank: rank(each) }))
    .filter(({ rank: at }) => at < 4)
    .toSorted((a, b) => a.rank - b.rank)
    .slice(0, most)
    .map(({ each }) => each)
}
