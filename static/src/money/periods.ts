/** The span of a statement. Days are YYYY-MM-DD in the reader's zone, both included. Pure. */

import { dayAfter, startOfDay, type Clock } from '../times'

export type Period = '30' | '90' | '365' | 'own'

export const PERIODS: readonly Period[] = ['30', '90', '365', 'own']

export interface Span {
  readonly first: string
  readonly last: string
}

/** The days of a chart are drawn one by one: no longer span than this is asked for. */
export const LONGEST = 366

const DAY = /^\d{4}-\d{2}-\d{2}$/

/** `own` are the days that were chosen by hand; without one, or too many, the nearest that can be shown. */
export function spanOf(period: Period, own: { first: string; last: string }, today: string): Span {
  if (period !== 'own') return { first: dayAfter(today, 1 - Number(period)), last: today }
  const last = DAY.test(own.last) && own.last < today ? own.last : today
  const first = DAY.test(own.first) && own.first <= last ? own.first : last
  const earliest = dayAfter(last, 1 - LONGEST)
  return { first: first < earliest ? earliest : first, last }
}

/** Milliseconds; `to` is excluded. */
export function momentsOf({ first, last }: Span, clock: Clock): { from: number; to: number } {
  return { from: startOfDay(first, clock), to: startOfDay(dayAfter(last), clock) }
}
