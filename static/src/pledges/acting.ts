/** What somebody is to do with a pledge now, and what it will mean. Pure: the present moment is an argument. */

import type { PersonCard } from '../api/types'
import { dayOf, startOfDay, timeOf, type Clock } from '../times'
import type { CheckView, PledgeView, SeatView, TaskView, Verdict, VoteView } from './types'

/** What a stamp will say of a task: in time, late within the grace, too late, not kept, or nothing. */
export type Meaning = 'on_time' | 'in_grace' | 'too_late' | 'not_kept' | 'nothing'

export function meaningOf(task: Pick<TaskView, 'due' | 'late'>, verdict: Verdict, doneAt: number): Meaning {
  if (verdict === 'abstain') return 'nothing'
  if (verdict === 'not_done') return 'not_kept'
  if (doneAt <= task.due) return 'on_time'
  return doneAt <= task.late ? 'in_grace' : 'too_late'
}

/** Before that, "not done" would only mean "not yet". */
export function mayDeny(task: Pick<TaskView, 'late'>, now: number): boolean {
  return now > task.late
}

/** When a stamp says it was done, unless the supervisor knows better. */
export function doneAtOf(task: Pick<TaskView, 'reported'>, now: number): number {
  return Math.min(task.reported ?? now, now)
}

/** The spot check that can still be answered. */
export function openCheck(task: Pick<TaskView, 'checks'>, now: number): CheckView | null {
  return task.checks.find((check) => check.state === 'asked' && check.until > now) ?? null
}

export function voteOf(task: Pick<TaskView, 'votes'>, person: string): VoteView | null {
  return task.votes.find((vote) => vote.person.id === person) ?? null
}

export type Act = 'answer_check' | 'report' | 'stamp'

/** One thing that waits for somebody; `until` is when it is too late for it. */
export interface Wait {
  readonly pledge: PledgeView
  readonly task: TaskView
  readonly act: Act
  readonly until: number
}

/** What waits for the one who is shown this pledge: the most urgent first. A task that nobody has reported is stamped from when it is due. */
export function waitsIn(pledge: PledgeView, now: number): Wait[] {
  const waits = pledge.tasks.flatMap((task): Wait[] => {
    const check = openCheck(task, now)
    if (check && task.can.includes('answer_check')) return [{ pledge, task, act: 'answer_check', until: check.until }]
    if (task.can.includes('stamp') && (task.reported !== null || task.due <= now)) return [{ pledge, task, act: 'stamp', until: task.judged_by }]
    if (task.can.includes('report') && task.reported === null) return [{ pledge, task, act: 'report', until: task.late }]
    return []
  })
  return waits.sort((a, b) => a.until - b.until || a.task.n - b.task.n)
}

/** "1:04:09", "29:51", "0:07": what is left until something ends. */
export function left(until: number, now: number): string {
  const seconds = Math.max(0, Math.ceil((until - now) / 1000))
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  const two = (value: number): string => String(value).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`
}

/** How much of a time is left: 1 at its beginning, 0 at its end. */
export function shareLeft(from: number, until: number, now: number): number {
  return until <= from ? 0 : Math.min(1, Math.max(0, (until - now) / (until - from)))
}

/** Who takes part, those who watch first; seats that came to nothing last. */
const ORDER: readonly SeatView['state'][] = ['seated', 'invited', 'applied', 'left', 'declined', 'withdrawn', 'expired']

export function seatsInOrder(seats: readonly SeatView[]): SeatView[] {
  return seats.toSorted((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || a.at - b.at)
}

/** How many more may supervise. */
export function seatsFree(pledge: Pick<PledgeView, 'seats' | 'terms'>): number {
  return Math.max(0, pledge.terms.most - pledge.seats.filter((seat) => seat.state === 'seated').length)
}

/** Whose acceptance ends the time to object: the owner, who watches, and who paid; each once. */
export function concernedBy(pledge: Pick<PledgeView, 'owner' | 'seats' | 'stake'>): PersonCard[] {
  const payer = pledge.stake.split?.payer ?? null
  const people = [pledge.owner, ...pledge.seats.filter((seat) => seat.state === 'seated').map((seat) => seat.person), ...(payer ? [payer] : [])]
  return [...new Map(people.map((person) => [person.id, person])).values()]
}

/** A moment as a field for date and time shows it: `2026-11-25T21:00`. */
export function wallOf(at: number, clock: Clock): string {
  return `${dayOf(at, clock)}T${timeOf(at, clock)}`
}

/** The moment that such a field means; null: none. */
export function momentOf(wall: string, clock: Clock): number | null {
  const found = /^(\d{4}-\d{2}-\d{2})T(\d{2}):(\d{2})/.exec(wall)
  if (!found?.[1]) return null
  const since = (Number(found[2]) * 60 + Number(found[3])) * 60_000
  const at = startOfDay(found[1], clock) + since
  // On the day on which the clocks are changed the hours since midnight are not those on the wall.
  const shown = wallOf(at, clock)
  return at + (Date.parse(`${wall.slice(0, 16)}Z`) - Date.parse(`${shown}Z`))
}
