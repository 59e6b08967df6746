/** What a form of the wallet may offer: currencies, bounds, amounts to begin with. Pure. */

import { CURRENCIES, type Currency } from './currency'
import type { Bounds } from './amount'
import type { Limit, OrderKind, ProviderChoice, Purse, Wallet } from './types'

/** In whole units: what people usually add. */
const PRESETS: Readonly<Record<Currency, readonly number[]>> = {
  CNY: [20_00, 50_00, 100_00, 200_00],
  HKD: [20_00, 50_00, 100_00, 200_00],
  TWD: [100_00, 200_00, 500_00, 1000_00],
  JPY: [500, 1000, 2000, 5000],
  SGD: [5_00, 10_00, 20_00, 50_00],
  USD: [5_00, 10_00, 20_00, 50_00],
  EUR: [5_00, 10_00, 20_00, 50_00],
  GBP: [5_00, 10_00, 20_00, 50_00],
}

export function limitOf(wallet: Pick<Wallet, 'limits'>, kind: OrderKind | null, currency: Currency): Limit | null {
  return wallet.limits.find((limit) => limit.kind === kind && limit.currency === currency) ?? null
}

export function purseOf(wallet: Pick<Wallet, 'purses'>, currency: Currency): Purse {
  return wallet.purses.find((purse) => purse.currency === currency) ?? { currency, available: 0, held: 0, leaving: 0, owed: 0 }
}

/** What may be moved at once now; null: no bound is known. */
export function mostOf(limit: Limit | null): number | null {
  return limit === null ? null : Math.min(limit.single, limit.day_left, limit.month_left)
}

const least = (...bounds: (number | null)[]): number | null => {
  const known = bounds.filter((bound): bound is number => bound !== null)
  return known.length ? Math.min(...known) : null
}

/** The currencies that a provider takes, the one that is offered first before the others. */
export function chargeCurrencies(provider: ProviderChoice | null, first: Currency): Currency[] {
  const taken = CURRENCIES.filter((currency) => provider?.charges[currency])
  return taken.includes(first) ? [first, ...taken.filter((currency) => currency !== first)] : taken
}

export function chargeBounds(wallet: Wallet, provider: ProviderChoice | null, currency: Currency): Bounds {
  const [low, high] = provider?.charges[currency] ?? [null, null]
  return { least: low, most: least(high, mostOf(limitOf(wallet, 'charge', currency))) }
}

export function presetsFor(currency: Currency, { least: low = null, most = null }: Bounds): number[] {
  return PRESETS[currency].filter((amount) => (low === null || amount >= low) && (most === null || amount <= most))
}

/** The currencies in which there is something to spend; the first of the wallet alone where there is nothing. */
export function spendable(wallet: Wallet): Currency[] {
  const full = wallet.purses.filter((purse) => purse.available > 0).map((purse) => purse.currency)
  if (full.length === 0) return [wallet.currency]
  return full.includes(wallet.currency) ? [wallet.currency, ...full.filter((currency) => currency !== wallet.currency)] : full
}

/** Bounds of what leaves a purse: what is there, and what may be moved. */
export function spendBounds(wallet: Wallet, kind: OrderKind | null, currency: Currency): Bounds {
  return { least: 1, funds: purseOf(wallet, currency).available, most: mostOf(limitOf(wallet, kind, currency)) }
}

/** Whether somebody else looks at it before it goes. */
export function needsApproval(wallet: Wallet, kind: OrderKind, currency: Currency, amount: number): boolean {
  const most = limitOf(wallet, kind, currency)?.four_eyes ?? null
  return most !== null && amount > most
}
