/** How often a task comes back: what the wizard offers, and the rule (RFC 5545) that says so on the wire. Pure. */

/** `rule`: one that this wizard cannot show; it is kept as it is. */
export type Rhythm = 'once' | 'daily' | 'workdays' | 'weekly' | 'monthly' | 'rule'

export interface Repetition {
  readonly rhythm: Rhythm
  /** Of `weekly`: 0 is Monday. */
  readonly days: readonly number[]
  readonly times: number
  /** Of `rule`. */
  readonly rule: string
}

/** So many times at most, whatever the rhythm. */
export const TIMES_MOST = 200

const DAYS = ['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU'] as const
const WORKDAYS = [0, 1, 2, 3, 4]
const DAY = 86_400_000

export const ONCE: Repetition = { rhythm: 'once', days: [], times: 1, rule: '' }

/** 0 is Monday. `day` is YYYY-MM-DD. */
export function weekdayOf(day: string): number {
  return (new Date(Date.parse(day)).getUTCDay() + 6) % 7
}

function chosenDays(of: Repetition, first: string): number[] {
  if (of.rhythm === 'workdays') return WORKDAYS
  return of.days.length ? of.days.toSorted((a, b) => a - b) : [weekdayOf(first)]
}

/** The first day from `first` on that the rhythm has. */
export function firstDay(of: Repetition, first: string): string {
  if (of.rhythm !== 'weekly' && of.rhythm !== 'workdays') return first
  const wanted = new Set(chosenDays(of, first))
  for (let days = 0; days < 7; days += 1) {
    const day = new Date(Date.parse(first) + days * DAY).toISOString().slice(0, 10)
    if (wanted.has(weekdayOf(day))) return day
  }
  return first
}

export function ruleOf(of: Repetition, first: string): string {
  if (of.rhythm === 'rule') return of.rule
  if (of.rhythm === 'once' || of.times <= 1) return ''
  const count = `COUNT=${of.times}`
  if (of.rhythm === 'daily') return `FREQ=DAILY;${count}`
  if (of.rhythm === 'monthly') return `FREQ=MONTHLY;${count}`
  const days = chosenDays(of, first).map((day) => DAYS[day])
  return `FREQ=WEEKLY;BYDAY=${days.join(',')};${count}`
}

/** What the wizard shows for a rule. */
export function repetitionOf(rule: string): Repetition {
  if (rule === '') return ONCE
  const other: Repetition = { rhythm: 'rule', days: [], times: 1, rule }
  const parts = new Map(rule.split(';').map((part) => part.split('=', 2) as [string, string]))
  const times = Number(parts.get('COUNT'))
  const known = new Set(['FREQ', 'COUNT', 'BYDAY'])
  if (!Number.isInteger(times) || times < 1 || times > TIMES_MOST || [...parts.keys()].some((name) => !known.has(name))) return other
  const days = (parts.get('BYDAY') ?? '').split(',').filter(Boolean).map((day) => DAYS.findIndex((each) => each === day))
  if (days.includes(-1)) return other
  switch (parts.get('FREQ')) {
    case 'DAILY':
      return days.length ? other : { rhythm: 'daily', days: [], times, rule: '' }
    case 'MONTHLY':
      return days.length ? other : { rhythm: 'monthly', days: [], times, rule: '' }
    case 'WEEKLY':
      if (days.length === 5 && WORKDAYS.every((day) => days.includes(day))) return { rhythm: 'workdays', days: [], times, rule: '' }
      return { rhythm: 'weekly', days: days.toSorted((a, b) => a - b), times, rule: '' }
    default:
      return other
  }
}

/** How often it comes at all. */
export function timesOf(rule: string): number {
  return Number(/COUNT=(\d+)/.exec(rule)?.[1] ?? (rule === '' ? 1 : 0))
}
