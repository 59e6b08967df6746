/** Amounts in the reader's language. Exact: the number travels as text, not as floating point. */

import { SIGNS, type Currency } from './currency'
import { spelled } from './amount'

const formats = new Map<string, Intl.NumberFormat>()

function format(language: string, currency: Currency, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${language}|${currency}|${options.currencyDisplay}|${options.signDisplay}`
  let found = formats.get(key)
  if (!found) {
    found = new Intl.NumberFormat(language === 'en' ? 'en-GB' : language, { style: 'currency', currency, ...options })
    formats.set(key, found)
  }
  return found
}

type Numeric = Intl.StringNumericLiteral

/** `signed`: with + and −, as a change; 0 has no sign. */
export function moneyText(minor: number, currency: Currency, language: string, signed = false): string {
  const parts = format(language, currency, { signDisplay: signed ? 'exceptZero' : 'auto' }).formatToParts(spelled(minor, currency) as Numeric)
  return parts.map(({ type, value }) => (type === 'currency' ? SIGNS[currency] : type === 'minusSign' ? '−' : value)).join('').replaceAll('\u00a0', '')
}

/** "12.50 Chinese yuan" / "12.50人民币": for ears, and where a sign alone would be taken for another currency's. */
export function moneyWords(minor: number, currency: Currency, language: string): string {
  return format(language, currency, { currencyDisplay: 'name' }).format(spelled(minor, currency) as Numeric)
}

/** Short enough for the side of a chart: without decimals that are 0. */
export function moneyShort(minor: number, currency: Currency, language: string): string {
  return moneyText(minor, currency, language).replace(/\.00$/, '')
}

/** The name of a currency: "Chinese yuan" / "人民币". */
export function currencyName(currency: Currency, language: string): string {
  return new Intl.DisplayNames([language === 'en' ? 'en-GB' : language], { type: 'currency' }).of(currency) ?? currency
}
