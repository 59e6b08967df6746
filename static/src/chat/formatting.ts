/** What the shortcuts of the composer do to a text and what is chosen in it. Pure. */

export type Format = 'bold' | 'italic' | 'strike' | 'code' | 'link' | 'quote' | 'list'

export interface Chosen {
  readonly text: string
  readonly start: number
  readonly end: number
}

const SIGNS: Readonly<Partial<Record<Format, string>>> = { bold: '**', italic: '*', strike: '~~', code: '`' }
const LINE_SIGNS: Readonly<Partial<Record<Format, string>>> = { quote: '> ', list: '- ' }
const ADDRESS = /^(?:https?:\/\/|mailto:)\S+$/i

/** The shortcut of a key that is pressed with Ctrl or Command. */
export function formatOf(key: string, shift: boolean): Format | null {
  switch (key.toLowerCase()) {
    case 'b':
      return shift ? null : 'bold'
    case 'i':
      return shift ? null : 'italic'
    case 'e':
      return shift ? null : 'code'
    case 'k':
      return shift ? 'link' : null // Ctrl+K alone searches
    case 'x':
      return shift ? 'strike' : null
    default:
      return null
  }
}

/** Once puts the signs around, again takes them away. */
function around({ text, start, end }: Chosen, sign: string): Chosen {
  const inside = text.slice(start, end)
  const { length } = sign
  const alone = (from: number): boolean => sign !== '*' || (text[from - 1] !== '*' && text[from + 1] !== '*')
  if (text.slice(start - length, start) === sign && text.slice(end, end + length) === sign && alone(start - length)) {
    return { text: text.slice(0, start - length) + inside + text.slice(end + length), start: start - length, end: end - length }
  }
  // Blanks at the ends would keep the signs from meaning anything.
  const before = /^\s*/.exec(inside)?.[0].length ?? 0
  const words = inside.trim()
  const from = start + (words === '' ? 0 : before)
  const to = from + words.length
  return { text: text.slice(0, from) + sign + words + sign + text.slice(to), start: from + length, end: to + length }
}

function lines({ text, start, end }: Chosen, sign: string): Chosen {
  const from = text.lastIndexOf('\n', start - 1) + 1
  const part = text.slice(from, end).split('\n')
  const all = part.every((line) => line.startsWith(sign))
  const changed = part.map((line) => (all ? line.slice(sign.length) : sign + line)).join('\n')
  const first = all ? -sign.length : sign.length
  return { text: text.slice(0, from) + changed + text.slice(end), start: Math.max(from, start + first), end: from + changed.length }
}

export function formatted(chosen: Chosen, format: Format, linkWords: string): Chosen {
  const { text, start, end } = chosen
  const sign = SIGNS[format]
  if (sign !== undefined) return around(chosen, sign)
  const lineSign = LINE_SIGNS[format]
  if (lineSign !== undefined) return lines(chosen, lineSign)
  const inside = text.slice(start, end)
  if (ADDRESS.test(inside)) {
    return { text: `${text.slice(0, start)}[${linkWords}](${inside})${text.slice(end)}`, start: start + 1, end: start + 1 + linkWords.length }
  }
  const words = inside || linkWords
  const at = start + words.length + 3
  return { text: `${text.slice(0, start)}[${words}](https://)${text.slice(end)}`, start: at, end: at + 'https://'.length }
}
