/** The currencies of the ledger, and how people write them. Amounts are integers in the minor unit (fen, cents). */

export const CURRENCIES = ['CNY', 'HKD', 'TWD', 'JPY', 'SGD', 'USD', 'EUR', 'GBP'] as const

export type Currency = (typeof CURRENCIES)[number]

/** The largest amount of the ledger: what JavaScript still counts exactly. */
export const MOST = Number.MAX_SAFE_INTEGER

/** How many decimals people write (ISO 4217's exponent). */
export function decimalsOf(currency: Currency): number {
  return currency === 'JPY' ? 0 : 2
}

/** One sign for each, so that yuan and yen, and the many dollars, are never taken for each other. */
export const SIGNS: Readonly<Record<Currency, string>> = {
  CNY: '¥',
  HKD: 'HK$',
  TWD: 'NT$',
  JPY: 'JP¥',
  SGD: 'S$',
  USD: 'US$',
  EUR: '€',
  GBP: '£',
}

/** What else people write before or behind an amount, in upper case, and which currencies it may mean. */
export const MARKS: readonly (readonly [string, readonly Currency[]])[] = [
  ...CURRENCIES.map((currency) => [currency, [currency]] as const),
  ['RMB', ['CNY']],
  ['人民币', ['CNY']],
  ['港币', ['HKD']],
  ['港元', ['HKD']],
  ['新台币', ['TWD']],
  ['新加坡元', ['SGD']],
  ['美元', ['USD']],
  ['欧元', ['EUR']],
  ['英镑', ['GBP']],
  ['日元', ['JPY']],
  ['CN¥', ['CNY']],
  ['JP¥', ['JPY']],
  ['HK$', ['HKD']],
  ['NT$', ['TWD']],
  ['US$', ['USD']],
  ['S$', ['SGD']],
  ['YUAN', ['CNY']],
  ['YEN', ['JPY']],
  ['EURO', ['EUR']],
  ['元', ['CNY', 'HKD', 'TWD', 'SGD', 'USD']],
  ['圆', ['CNY', 'JPY']],
  ['块', ['CNY', 'HKD', 'TWD', 'SGD', 'USD']],
  ['円', ['JPY']],
  ['¥', ['CNY', 'JPY']],
  ['$', ['HKD', 'TWD', 'SGD', 'USD']],
  ['€', ['EUR']],
  ['£', ['GBP']],
]
