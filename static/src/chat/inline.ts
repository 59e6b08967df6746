/** What stands within a line of a message: emphasis, code, links, calls. One pass from left to right. Pure. */

import { addressAt, linkWith } from './links'

export type Inline =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'code'; readonly text: string }
  | { readonly type: 'link'; readonly href: string; readonly text: string; readonly plain: boolean }
  /** `@handle`: whether it is anybody, only who shows it knows. */
  | { readonly type: 'mention'; readonly handle: string }
  | { readonly type: 'break' }
  | { readonly type: 'strong' | 'emphasis' | 'strike'; readonly children: readonly Inline[] }

type Sign = '**' | '__' | '*' | '_' | '~~'

const MEANING: Readonly<Record<Sign, 'strong' | 'emphasis' | 'strike'>> = {
  '**': 'strong',
  __: 'strong',
  '*': 'emphasis',
  _: 'emphasis',
  '~~': 'strike',
}
/** Within Latin words these signs mean nothing: snake_case, 2*3*4. */
const BETWEEN_WORDS: ReadonlySet<string> = new Set(['*', '_', '__'])

/** More open square brackets than this, and further ones are text. */
const BRACKETS_OPEN = 16
/** An address in brackets ends within this many characters. */
const ADDRESS_LONGEST = 2_048

const WORD = /[A-Za-z0-9]/
const BLANK = /\s/u
const ESCAPABLE = /[!-/:-@[-`{-~]/
const HANDLE = /@([a-z][a-z0-9_.]{2,31})/iy

/** Something that was opened and may be closed: what came since belongs to it then. */
interface Frame {
  readonly sign: Sign | '[' | null
  readonly nodes: Inline[]
}

function put(nodes: Inline[], node: Inline): void {
  const last = nodes.at(-1)
  if (node.type !== 'text') nodes.push(node)
  else if (last?.type === 'text') nodes[nodes.length - 1] = { type: 'text', text: last.text + node.text }
  else if (node.text !== '') nodes.push(node)
}

class Reader {
  readonly #text: string
  readonly #frames: Frame[] = [{ sign: null, nodes: [] }]
  /** Where runs of so many backticks begin, and how far each list has been used up. */
  readonly #ticks = new Map<number, { starts: number[]; used: number }>()
  #at = 0

  constructor(text: string) {
    this.#text = text
    for (const run of text.matchAll(/`+/g)) {
      const known = this.#ticks.get(run[0].length)
      if (known) known.starts.push(run.index)
      else this.#ticks.set(run[0].length, { starts: [run.index], used: 0 })
    }
  }

  read(): Inline[] {
    const text = this.#text
    let plain = 0
    while (this.#at < text.length) {
      const from = this.#at
      const node = this.#special(text[from] ?? '')
      if (node === null) {
        this.#at = from + 1
        continue
      }
      // Words before the sign go where they belong, which is where the sign was met.
      this.#plain(plain, from)
      node()
      plain = this.#at
    }
    this.#plain(plain, text.length)
    this.#collapse(0)
    return this.#frames[0]?.nodes ?? []
  }

  #plain(from: number, to: number): void {
    if (to > from) this.#put({ type: 'text', text: this.#text.slice(from, to) })
  }

  #put(node: Inline): void {
    const top = this.#frames.at(-1)
    if (top) put(top.nodes, node)
  }

  /** What the sign at this place does, or null where it is a letter like others. */
  #special(sign: string): (() => void) | null {
    switch (sign) {
      case '\n':
        return () => this.#take(1, { type: 'break' })
      case '\\':
        return ESCAPABLE.test(this.#text[this.#at + 1] ?? '') ? () => this.#take(2, { type: 'text', text: this.#text[this.#at + 1] ?? '' }) : null
      case '`':
        return this.#code()
      case '*':
      case '_':
      case '~':
        return this.#signs(sign)
      case '[':
        return this.#frames.length < BRACKETS_OPEN + Object.keys(MEANING).length ? () => this.#open('[', 1) : null
      case ']':
        return this.#closing()
      case '@':
        return this.#mention()
      case 'h':
      case 'H':
      case 'm':
      case 'M':
        return this.#address()
      default:
        return null
    }
  }

  #take(length: number, node: Inline): void {
    this.#put(node)
    this.#at += length
  }

  #open(sign: Sign | '[', length: number): void {
    this.#frames.push({ sign, nodes: [] })
    this.#at += length
  }

  /** Whatever was opened above this frame was never closed: its sign is text. */
  #collapse(below: number): void {
    const target = this.#frames[below]
    if (!target) return
    for (const frame of this.#frames.splice(below + 1)) {
      put(target.nodes, { type: 'text', text: frame.sign ?? '' })
      for (const node of frame.nodes) put(target.nodes, node)
    }
  }

  #code(): (() => void) | null {
    let length = 1
    while (this.#text[this.#at + length] === '`') length += 1
    const from = this.#at
    const runs = this.#ticks.get(length)
    if (!runs) return null
    while ((runs.starts[runs.used] ?? Infinity) <= from) runs.used += 1
    const end = runs.starts[runs.used]
    if (end === undefined) return () => this.#take(length, { type: 'text', text: '`'.repeat(length) })
    const inside = this.#text.slice(from + length, end).replaceAll('\n', ' ')
    // One blank on each side lets code begin with a backtick.
    const text = /^ .*[^ ].* $/.test(inside) ? inside.slice(1, -1) : inside
    return () => this.#take(end + length - from, { type: 'code', text })
  }

  #signs(letter: '*' | '_' | '~'): () => void {
    const from = this.#at
    let length = 1
    while (this.#text[from + length] === letter) length += 1
    const before = this.#text[from - 1] ?? ' '
    const after = this.#text[from + length] ?? ' '
    const literal = (): void => this.#take(length, { type: 'text', text: letter.repeat(length) })
    if (letter === '~' ? length !== 2 : length > 3) return literal
    return () => {
      let rest = length
      while (rest > 0 && !BLANK.test(before)) {
        const closed = this.#close(letter, rest, after)
        if (closed === 0) break
        rest -= closed
      }
      this.#at = from + length - rest
      while (rest > 0) {
        const sign = (rest >= 2 || letter === '~' ? letter.repeat(2) : letter) as Sign
        const free = !this.#frames.some((frame) => frame.sign === sign)
        const allowed = free && !BLANK.test(after) && !(BETWEEN_WORDS.has(sign) && WORD.test(before))
        if (allowed) this.#open(sign, sign.length)
        else this.#take(sign.length, { type: 'text', text: sign })
        rest -= sign.length
      }
    }
  }

  /** Closes the innermost emphasis with at most so many of these letters; how many it took. */
  #close(letter: string, most: number, after: string): number {
    for (let at = this.#frames.length - 1; at > 0; at -= 1) {
      const frame = this.#frames[at]
      const sign = frame?.sign
      if (!frame || sign == null || sign === '[' || !sign.startsWith(letter) || sign.length > most) continue
      if (BETWEEN_WORDS.has(sign) && WORD.test(after)) continue
      this.#collapse(at)
      if (frame.nodes.length === 0) return 0
      this.#frames.pop()
      this.#put({ type: MEANING[sign], children: frame.nodes })
      return sign.length
    }
    return 0
  }

  #closing(): (() => void) | null {
    const at = this.#frames.findLastIndex((frame) => frame.sign === '[')
    if (at < 0) return null
    return () => {
      this.#collapse(at)
      const frame = this.#frames.pop()
      const nodes = frame?.nodes ?? []
      const target = this.#target()
      const link = target === null || nodes.some(isNamedLink) ? null : linkWith(lettersOf(nodes), target)
      if (link && target !== null) {
        this.#take(target.length + 3, { type: 'link', ...link })
        return
      }
      this.#put({ type: 'text', text: '[' })
      for (const node of nodes) this.#put(node)
      this.#take(1, { type: 'text', text: ']' })
    }
  }

  /** The address of `](address)`, where it stands behind the closing bracket. */
  #target(): string | null {
    if (this.#text[this.#at + 1] !== '(') return null
    const from = this.#at + 2
    let open = 0
    for (let at = from; at < this.#text.length && at - from <= ADDRESS_LONGEST; at += 1) {
      const sign = this.#text[at] ?? ''
      if (BLANK.test(sign)) return null
      if (sign === '(') open += 1
      if (sign === ')' && (open -= 1) < 0) return this.#text.slice(from, at)
    }
    return null
  }

  #mention(): (() => void) | null {
    if (/[A-Za-z0-9@/._-]/.test(this.#text[this.#at - 1] ?? ' ')) return null
    HANDLE.lastIndex = this.#at
    const handle = HANDLE.exec(this.#text)?.[1]?.replace(/\.+$/, '')
    if (handle === undefined || handle.length < 3) return null
    return () => this.#take(handle.length + 1, { type: 'mention', handle: handle.toLowerCase() })
  }

  #address(): (() => void) | null {
    if (WORD.test(this.#text[this.#at - 1] ?? ' ')) return null
    const found = addressAt(this.#text, this.#at)
    if (!found) return null
    const text = this.#text.slice(this.#at, this.#at + found.length)
    return () => this.#take(found.length, found.link ? { type: 'link', ...found.link } : { type: 'text', text })
  }
}

/** A link within a link would lead to two places; a bare address within one is only its words. */
function isNamedLink(node: Inline): boolean {
  return node.type === 'link' ? !node.plain : 'children' in node && node.children.some(isNamedLink)
}

function lettersOf(nodes: readonly Inline[]): string {
  return nodes
    .map((node) => {
      if (node.type === 'break') return ' '
      if (node.type === 'mention') return `@${node.handle}`
      return 'children' in node ? lettersOf(node.children) : node.text
    })
    .join('')
}

export function inlineOf(text: string): Inline[] {
  return new Reader(text).read()
}
