/** What stands in an avatar without a picture, and in which of the eight tints. */

export const TINTS = 8

const WIDE = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u

let segmenter: Intl.Segmenter | undefined

function graphemes(text: string): string[] {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' })
  return Array.from(segmenter.segment(text), (part) => part.segment)
}

/**
 * At most two graphemes: the last two of a name in Chinese, Japanese or Korean script (that is how people are called),
 * else the first letters of the first and the last word. An empty name gives an empty string.
 */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/u).filter(Boolean)
  const first = words[0]
  const last = words.at(-1)
  if (first === undefined || last === undefined) return ''
  if (WIDE.test(first)) return graphemes(words.join('')).filter((part) => WIDE.test(part)).slice(-2).join('')
  const heads = words.length === 1 ? [first] : [first, last]
  return heads.map((word) => graphemes(word)[0]?.toLocaleUpperCase() ?? '').join('')
}

/** 1 … TINTS, always the same for one id (FNV-1a). */
export function tint(id: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < id.length; at += 1) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193)
  return ((hash >>> 0) % TINTS) + 1
}
