/** How far a pledge has come, and which of its tasks matter now. Pure. */

import type { PledgeView, TaskView } from './types'

export interface Progress {
  readonly done: number
  readonly missed: number
  readonly count: number
  /** How many must be kept. */
  readonly needed: number
}

export function progressOf(pledge: Pick<PledgeView, 'tasks' | 'terms'>): Progress {
  const counting = pledge.tasks.filter((task) => task.state !== 'void')
  return {
    done: counting.filter((task) => task.state === 'kept').length,
    missed: counting.filter((task) => task.state === 'missed').length,
    count: counting.length,
    needed: Math.min(pledge.terms.needed || counting.length, counting.length),
  }
}

/** The task that is spoken of now: one that waits for oneself, else the first that is open. */
export function currentTask(tasks: readonly TaskView[], now: number): TaskView | null {
  const open = tasks.filter((task) => task.state === 'open')
  const mine = open.find((task) => (task.can.includes('stamp') && (task.reported !== null || task.due <= now)) || task.can.includes('answer_check') || (task.can.includes('report') && task.reported === null))
  return mine ?? open.find((task) => task.due > now) ?? open.at(-1) ?? null
}

/** What of a long list of tasks is shown at first: those around the present one. */
export function windowOf(tasks: readonly TaskView[], now: number, most: number): readonly TaskView[] {
  if (tasks.length <= most) return tasks
  const current = currentTask(tasks, now)
  const at = current ? tasks.indexOf(current) : tasks.length
  const from = Math.max(0, Math.min(at - Math.floor(most / 2), tasks.length - most))
  return tasks.slice(from, from + most)
}
