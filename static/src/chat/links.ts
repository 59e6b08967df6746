/** Text in pieces: plain ones, and addresses that may be followed (https only). Never HTML. */

export interface TextPiece {
  readonly text: string
  /** Null for plain text. */
  readonly href: string | null
}

const ADDRESS = /https:\/\/[^\s<>"'`\u3000-\u303f\uff00-\uffef]+/giu

/** Signs that end a sentence rather than an address. */
const TRAILING = /[.,;:!?…'"”’]+$/u

function trimmed(address: string): string {
  let end = address
  for (;;) {
    const before = end
    end = end.replace(TRAILING, '')
    // A closing bracket belongs to the address only if it was opened in it.
    for (const [opening, closing] of ['()', '[]', '{}'].map((pair) => [pair[0] ?? '', pair[1] ?? ''])) {
      if (end.endsWith(closing ?? '') && end.split(opening ?? '').length < end.split(closing ?? '').length) end = end.slice(0, -1)
    }
    if (end === before) return end
  }
}

function isFollowable(address: string): boolean {
  try {
    const url = new URL(address)
    return url.protocol === 'https:' && url.hostname !== '' && url.username === '' && url.password === ''
  } catch {
    return false
  }
}

export function pieces(text: string): TextPiece[] {
  const found: TextPiece[] = []
  let from = 0
  for (const match of text.matchAll(ADDRESS)) {
    const address = trimmed(match[0])
    if (!isFollowable(address)) continue
    if (match.index > from) found.push({ text: text.slice(from, match.index), href: null })
    found.push({ text: address, href: address })
    from = match.index + address.length
  }
  if (from < text.length) found.push({ text: text.slice(from), href: null })
  return found
}
