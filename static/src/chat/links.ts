/** Addresses that may be followed: http, https and mailto. What is read and where it leads are never allowed to differ unseen. Pure. */

/** Characters that turn the direction of text or cannot be seen: an address with them would not be what it looks like. */
const DISGUISE = '\\u061c\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u2069\\ufeff'
const ADDRESS = new RegExp(`(?:https?://|mailto:)[^\\s<>[\\]"'\`\\u3000-\\u303f\\uff00-\\uffef${DISGUISE}]+`, 'iuy')
const HIDDEN = new RegExp(`[${DISGUISE}]`, 'gu')

/** Signs that end a sentence rather than an address. */
const ENDINGS: ReadonlySet<string> = new Set('.,;:!?…\'"”’*_~')
const BRACKETS: Readonly<Record<string, string>> = { ')': '(', '}': '{' }

/** Longer addresses stay text: nobody can look through them. */
const LONGEST = 2_048

export interface Link {
  readonly href: string
  /** What is read. */
  readonly text: string
  /** The text is the address itself: nothing has to be told before somebody follows it. */
  readonly plain: boolean
}

function trimmed(address: string): string {
  const open = new Map<string, number>()
  for (const sign of address) if (sign in BRACKETS || '({'.includes(sign)) open.set(sign, (open.get(sign) ?? 0) + 1)
  let end = address.length
  for (; end > 0; end -= 1) {
    const sign = address[end - 1] ?? ''
    const opening = BRACKETS[sign]
    if (opening !== undefined) {
      // A closing bracket belongs to the address only if it was opened in it.
      const closed = open.get(sign) ?? 0
      if (closed <= (open.get(opening) ?? 0)) break
      open.set(sign, closed - 1)
    } else if (!ENDINGS.has(sign)) break
  }
  return address.slice(0, end)
}

function parsed(address: string): URL | null {
  if (address.length > LONGEST) return null
  const url = URL.canParse(address) ? new URL(address) : null
  if (url?.protocol === 'mailto:') return /^[^\s@?]+@[^\s@?]+$/.test(decoded(url.pathname)) && url.search === '' ? url : null
  const web = url?.protocol === 'https:' || url?.protocol === 'http:'
  // Nobody reads past an @: "https://bank.example@elsewhere" leads elsewhere.
  return url && web && url.hostname !== '' && url.username === '' && url.password === '' ? url : null
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Letters of other scripts can look like Latin ones, so the name is shown as the network knows it. */
function isAsIs(text: string, url: URL): boolean {
  return url.protocol === 'mailto:' || text.toLowerCase().startsWith(`${url.protocol}//${url.host}`)
}

/** The address that begins at this place: how long it is, and the link unless it may not be followed. */
export function addressAt(text: string, at: number): { readonly length: number; readonly link: Link | null } | null {
  ADDRESS.lastIndex = at
  const found = ADDRESS.exec(text)
  if (!found) return null
  const address = trimmed(found[0])
  const url = parsed(address)
  return { length: Math.max(address.length, 1), link: url && { href: url.href, text: address, plain: isAsIs(address, url) } }
}

const LIKE_AN_ADDRESS = /:\/\/|@|^\s*www\.|[\p{L}\p{N}-]\.\p{L}{2,}/u

/** A link with words of its own. Words that look like another address give way to the true one. */
export function linkWith(words: string, address: string): Link | null {
  const url = parsed(address)
  if (!url) return null
  const text = words.replace(HIDDEN, '').trim()
  if (text === '') return { href: url.href, text: url.href, plain: true }
  if (LIKE_AN_ADDRESS.test(text)) {
    const bare = text.toLowerCase().replace(/^(?:https?:\/\/|mailto:)/, '').replace(/\/$/, '')
    const own = url.href.toLowerCase().replace(/^(?:https?:\/\/|mailto:)/, '').replace(/\/$/, '')
    if (bare !== own && bare !== url.host) return { href: url.href, text: url.href, plain: true }
    return { href: url.href, text, plain: true }
  }
  return { href: url.href, text, plain: false }
}
