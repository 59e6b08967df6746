/** Words for names that come from the server: a newer server may know more of them than this page. */

import { i18n, translate, type Values } from '../../i18n'
import type { MessageKey } from '../../locales/en'

/** The text of a key that may not exist. */
export function textOf(key: string, values: Values = {}): string | null {
  return i18n.global.te(key) ? translate(key as MessageKey, values) : null
}

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const

/** 1.4 GB, in the reader's way of writing numbers. */
export function bytes(count: number, language: string): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3))
  return new Intl.NumberFormat(language, { style: 'unit', unit: UNITS[power] ?? 'byte', unitDisplay: 'short', maximumFractionDigits: power ? 1 : 0 }).format(count / 1000 ** power)
}
