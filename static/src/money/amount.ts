/**
 * What people type as an amount, read into minor units. Pure, and without floating point: text becomes an integer digit
 * by digit. Full-width and Arabic digits, comma or point, grouping, and a pasted currency sign are understood; what is
 * not certain is refused with the reason.
 */

import { CURRENCIES, decimalsOf, MARKS, MOST, type Currency } from './currency'

/**
 * `letters`: not a number. `grouping`: separators where none belong. `decimals`: more of them than the currency has.
 * `currency`: the sign of another one. `least`, `most`, `funds`: outside of what may be moved now.
 */
export type AmountFault = 'empty' | 'letters' | 'grouping' | 'decimals' | 'negative' | 'zero' | 'huge' | 'currency' | 'least' | 'most' | 'funds'

export type Reading =
  | { readonly minor: number; readonly fault: null }
  | { readonly minor: null; readonly fault: AmountFault; /** The currencies that the sign may mean. */ readonly meant?: readonly Currency[] }

const wrong = (fault: AmountFault, meant?: readonly Currency[]): Reading => (meant ? { minor: null, fault, meant } : { minor: null, fault })

/** Arabic and Persian digits and separators; full-width ones are folded by NFKC. */
function folded(text: string): string {
  return text
    .normalize('NFKC')
    .replaceAll(/[\u0660-\u0669]/g, (digit) => String(digit.charCodeAt(0) - 0x660))
    .replaceAll(/[\u06f0-\u06f9]/g, (digit) => String(digit.charCodeAt(0) - 0x6f0))
    .replaceAll(/[\u066b。]/g, '.') // the Arabic decimal separator; the point of Chinese input methods
    .replaceAll(/[\u066c、]/g, ',')
    .replaceAll(/[\u200e\u200f\u061c\u2066-\u2069]/g, '') // marks of direction, which come along when one copies
    .replaceAll(/[\u2212\u2010-\u2014]/g, '-')
    .toUpperCase()
    .trim()
}

/** The number without its sign, and the currencies that the sign may mean; null: none was written. */
function unmarked(text: string): { rest: string; meant: readonly Currency[] | null } {
  let rest = text
  let meant: readonly Currency[] | null = null
  for (const end of ['start', 'end'] as const) {
    const found = MARKS.find(([mark]) => (end === 'start' ? rest.replace(/^[-+]/, '').startsWith(mark) : rest.endsWith(mark)))
    if (!found) continue
    const [mark, currencies] = found
    if (end === 'start') rest = rest.replace(mark, '')
    else rest = rest.slice(0, -mark.length)
    const before: readonly Currency[] = meant ?? CURRENCIES
    meant = before.filter((currency) => currencies.includes(currency))
    rest = rest.trim()
  }
  return { rest, meant }
}

/** Where decimals begin. A comma before exactly three digits groups them, as both our languages write it. */
function decimalSign(number: string): ',' | '.' | null {
  const commas = number.split(',').length - 1
  const points = number.split('.').length - 1
  if (commas > 0 && points > 0) return number.lastIndexOf(',') > number.lastIndexOf('.') ? ',' : '.'
  if (commas === 1) return /^[1-9]\d{0,2},\d{3}$/.test(number) ? null : ','
  return points === 1 ? '.' : null
}

/** The digits of a whole part without its grouping; null: it is grouped wrongly. */
function ungrouped(whole: string, decimal: ',' | '.' | null): string | null {
  const separator = /\D/.exec(whole)?.[0]
  if (separator === undefined) return whole
  const [first = '', ...groups] = whole.split(separator)
  const well = separator !== decimal && /^\d{1,3}$/.test(first) && groups.every((group) => /^\d{3}$/.test(group))
  return well ? first + groups.join('') : null
}

function parted(number: string): { whole: string; decimals: string } | null {
  const decimal = decimalSign(number)
  const at = decimal === null ? number.length : number.lastIndexOf(decimal)
  const whole = ungrouped(number.slice(0, at), decimal)
  const decimals = number.slice(at + 1)
  return whole === null || !/^\d*$/.test(decimals) || whole + decimals === '' ? null : { whole, decimals }
}

export function readAmount(text: string, currency: Currency): Reading {
  const { rest, meant } = unmarked(folded(text))
  const negative = rest.startsWith('-')
  const number = rest.replace(/^[-+]/, '').trim().replaceAll(/[\u00a0\u2009\u202f_]/g, ' ').replaceAll('’', "'")
  if (number === '') return wrong(negative || meant ? 'letters' : 'empty')
  if (meant && !meant.includes(currency)) return wrong('currency', meant)
  if (!/^[\d., ']+$/.test(number)) return wrong('letters')
  const parts = parted(number)
  if (!parts) return wrong('grouping')
  if (parts.decimals.length > decimalsOf(currency)) return wrong('decimals')
  if (negative) return wrong('negative')
  const digits = (parts.whole + parts.decimals.padEnd(decimalsOf(currency), '0')).replace(/^0+/, '')
  if (digits === '') return wrong('zero')
  if (digits.length > 16 || BigInt(digits) > BigInt(MOST)) return wrong('huge')
  return { minor: Number(digits), fault: null }
}

/** What may be moved now; null: no such bound. */
export interface Bounds {
  readonly least?: number | null
  readonly most?: number | null
  readonly funds?: number | null
}

/** The fault of an amount that is read well and still cannot be moved. */
export function outOf(minor: number, { least = null, most = null, funds = null }: Bounds): AmountFault | null {
  if (least !== null && minor < least) return 'least'
  if (funds !== null && minor > funds) return 'funds'
  if (most !== null && minor > most) return 'most'
  return null
}

/** As one would type it: 12.50; without a sign and without grouping. */
export function spelled(minor: number, currency: Currency): string {
  const decimals = decimalsOf(currency)
  const digits = String(Math.abs(minor)).padStart(decimals + 1, '0')
  const number = decimals === 0 ? digits : `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`
  return minor < 0 ? `-${number}` : number
}
