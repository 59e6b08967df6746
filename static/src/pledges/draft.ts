/** The wizard's form: what it holds, what is wrong with it, and the draft that it makes. Pure. */

import type { Currency } from '../money/currency'
import { ONCE, firstDay, repetitionOf, ruleOf, timesOf, TIMES_MOST, type Repetition } from './rhythm'
import type { NewCohort, NewPledge, PledgeView, RuleKind, Side, StakeKind, Terms, Visibility } from './types'

/** `named`: people whom one chooses; `listed`: whoever finds it and is accepted; `staff`: those who run the place. */
export type Watching = 'named' | 'listed' | 'staff'

export interface TaskForm {
  title: string
  details: string
  /** The first day, YYYY-MM-DD, and the time on the wall, HH:MM. */
  date: string
  time: string
  repetition: Repetition
  /** Minutes before it is due. */
  opens: number
}

/** An amount as it was written, and what was read; null: nothing that may be moved. */
export interface AmountForm {
  text: string
  minor: number | null
}

export type Portion = 'none' | 'part' | 'all'

export interface PledgeForm {
  side: Side
  /** Those who promise, when one watches oneself. */
  owners: string[]
  title: string
  why: string
  zone: string
  tasks: TaskForm[]
  /** 0: all of them. */
  needed: number
  /** Minutes. */
  grace: number
  watching: Watching
  supervisors: string[]
  least: number
  /** How many may watch, where more than those who are named can come. */
  most: number
  rule: RuleKind
  k: number
  visibility: Visibility
  group: string
  template: string
  /** Days to find somebody. */
  days: number
  /** Hours. */
  judge: number
  challenge: number
  checks: Terms['checks']
  kind: StakeKind
  currency: Currency
  amount: AmountForm
  /** How much of it moves to the other side in each outcome. */
  kept: Portion
  keptPart: AmountForm
  failed: Portion
  failedPart: AmountForm
  words: string
  to: string
  points: number
}

export const STEPS = ['what', 'who', 'stake', 'read'] as const
export type Step = (typeof STEPS)[number]

export const TASKS_MOST = 20
export const SUPERVISORS_MOST = 20
export const OWNERS_MOST = 50
export const TITLE_LONGEST = 80
export const WORDS_LONGEST = 2_000
export const POINTS_MOST = 1_000_000

const NO_AMOUNT: AmountForm = { text: '', minor: null }
const CHECKS: Terms['checks'] = { random: 0, on_demand: 3, answer: 30, quiet_from: '22:00', quiet_to: '07:00' }

export function emptyTask(date: string): TaskForm {
  return { title: '', details: '', date, time: '21:00', repetition: { ...ONCE, rhythm: 'daily', times: 5 }, opens: 720 }
}

export function emptyForm(zone: string, tomorrow: string, currency: Currency): PledgeForm {
  return {
    side: 'owner',
    owners: [],
    title: '',
    why: '',
    zone,
    tasks: [emptyTask(tomorrow)],
    needed: 0,
    grace: 0,
    watching: 'named',
    supervisors: [],
    least: 1,
    most: 1,
    rule: 'majority',
    k: 1,
    visibility: 'friends',
    group: '',
    template: '',
    days: 14,
    judge: 48,
    challenge: 24,
    checks: { ...CHECKS },
    kind: 'deposit',
    currency,
    amount: { ...NO_AMOUNT },
    kept: 'none',
    keptPart: { ...NO_AMOUNT },
    failed: 'all',
    failedPart: { ...NO_AMOUNT },
    words: '',
    to: '',
    points: 10,
  }
}

// ── What follows from what was chosen ──

/** What may stand by it, given who watches. */
export function kindsFor(form: Pick<PledgeForm, 'side' | 'watching'>): readonly StakeKind[] {
  if (form.side === 'supervisor') return ['reward', 'deposit', 'chore', 'points', 'none']
  return form.watching === 'staff' ? ['staff'] : ['deposit', 'message', 'chore', 'points', 'none']
}

export function kindOf(form: Pick<PledgeForm, 'side' | 'watching' | 'kind'>): StakeKind {
  const kinds = kindsFor(form)
  return kinds.includes(form.kind) ? form.kind : (kinds[0] as StakeKind)
}

const MONEY: readonly StakeKind[] = ['deposit', 'staff', 'reward']

export function isMoney(kind: StakeKind): boolean {
  return MONEY.includes(kind)
}

/** How much may move: staff never gains from what is kept, and a reward that is not earned goes back whole. */
export function portionsFor(kind: StakeKind, outcome: 'kept' | 'failed'): readonly Portion[] {
  if (kind === 'deposit') return outcome === 'kept' ? ['none', 'part', 'all'] : ['all', 'part']
  if (kind === 'staff') return outcome === 'kept' ? [] : ['all', 'part']
  if (kind === 'reward') return outcome === 'kept' ? ['all', 'part'] : []
  return []
}

export function portionOf(form: Pick<PledgeForm, 'side' | 'watching' | 'kind' | 'kept' | 'failed'>, outcome: 'kept' | 'failed'): Portion {
  const portions = portionsFor(kindOf(form), outcome)
  return portions.includes(form[outcome]) ? form[outcome] : (portions[0] ?? 'none')
}

/** In minor units; null while what was written cannot be read. */
export function movesOf(form: PledgeForm, outcome: 'kept' | 'failed'): number | null {
  const portion = portionOf(form, outcome)
  if (portion === 'none') return 0
  return portion === 'all' ? form.amount.minor : form[`${outcome}Part`].minor
}

/** How many may watch. Those who are named all find a place. */
export function seatsOf(form: PledgeForm): { readonly least: number; readonly most: number } {
  if (form.watching === 'staff' || form.side === 'supervisor') return { least: 1, most: 1 }
  const named = form.supervisors.length
  const most = Math.min(SUPERVISORS_MOST, form.watching === 'named' ? Math.max(1, named) : Math.max(form.most, named, 1))
  return { least: Math.min(Math.max(1, form.least), most), most }
}

/** How many occurrences all tasks have together. */
export function countOf(form: Pick<PledgeForm, 'tasks'>): number {
  return form.tasks.reduce((sum, task) => sum + timesOf(ruleOf(task.repetition, task.date)), 0)
}

export function taskTitle(form: PledgeForm, task: TaskForm): string {
  return (form.tasks.length === 1 && task.title.trim() === '' ? form.title : task.title).trim()
}

// ── What is sent ──

export function termsOf(form: PledgeForm): Terms {
  const kind = kindOf(form)
  const money = isMoney(kind)
  const seats = seatsOf(form)
  const listed = form.watching === 'listed' && form.side === 'owner'
  return {
    title: form.title.trim(),
    why: form.why.trim(),
    zone: form.zone,
    tasks: form.tasks.map((task) => ({
      title: taskTitle(form, task).slice(0, TITLE_LONGEST),
      due: `${firstDay(task.repetition, task.date)}T${task.time}`,
      repeat: ruleOf(task.repetition, task.date),
      opens: task.opens,
      details: task.details.trim(),
    })),
    stake: {
      kind,
      amount: money ? (form.amount.minor ?? 0) : 0,
      currency: money ? form.currency : null,
      moves_if_kept: money ? (movesOf(form, 'kept') ?? 0) : 0,
      moves_if_failed: money ? (movesOf(form, 'failed') ?? 0) : 0,
      words: kind === 'message' || kind === 'chore' ? form.words.trim() : '',
      to: (kind === 'message' || kind === 'chore') && form.to ? form.to : null,
      points: kind === 'points' ? form.points : 0,
    },
    needed: form.needed >= countOf(form) ? 0 : form.needed,
    grace: form.grace,
    judge: form.judge,
    challenge: form.challenge,
    rule: { kind: seats.most > 1 ? form.rule : 'majority', k: seats.most > 1 && form.rule === 'k_of_n' ? Math.min(form.k, seats.least) : 0 },
    ...seats,
    checks: { ...form.checks },
    visibility: listed ? form.visibility : 'named',
    group: listed && form.visibility === 'group' && form.group ? form.group : null,
    template: form.watching === 'staff' && form.side === 'owner' && form.template ? form.template : null,
  }
}

export function newPledgeOf(form: PledgeForm, id: string): NewPledge {
  const owner = form.side === 'owner'
  return {
    id,
    side: form.side,
    terms: termsOf(form),
    owner: owner ? null : (form.owners[0] ?? null),
    supervisors: owner && form.watching !== 'staff' ? form.supervisors : [],
    days: form.days,
  }
}

/** Several who promise the same: each has a pledge of their own. */
export function isCohort(form: Pick<PledgeForm, 'side' | 'owners'>): boolean {
  return form.side === 'supervisor' && form.owners.length > 1
}

export function newCohortOf(form: PledgeForm, id: string): NewCohort {
  return { id, terms: termsOf(form), owners: form.owners, days: form.days }
}

// ── What is wrong ──

/** A field of the form, and what is said below it (`pledges.wizard.faults`). */
export type Fault = 'title' | 'tasks' | 'taskTitle' | 'date' | 'past' | 'times' | 'count' | 'needed' | 'owners' | 'supervisors' | 'group' | 'k' | 'template' | 'amount' | 'kept' | 'failed' | 'words' | 'to' | 'points'

export interface FormFaults {
  readonly step: Step
  readonly fault: Fault
  /** Of a task: which one. */
  readonly at: number
}

/** `wallNow` is the wall's clock in the pledge's zone, `2026-11-25T21:00`. */
export function faultsOf(form: PledgeForm, wallNow: string): FormFaults[] {
  const found: FormFaults[] = []
  const add = (step: Step, fault: Fault, at = 0): void => void found.push({ step, fault, at })

  if (form.title.trim() === '') add('what', 'title')
  form.tasks.forEach((task, at) => {
    if (form.tasks.length > 1 && task.title.trim() === '') add('what', 'taskTitle', at)
    if (!/^\d{4}-\d{2}-\d{2}$/.test(task.date) || !/^\d{2}:\d{2}$/.test(task.time)) add('what', 'date', at)
    else if (`${firstDay(task.repetition, task.date)}T${task.time}` <= wallNow) add('what', 'past', at)
    const times = task.repetition.times
    if (task.repetition.rhythm !== 'once' && task.repetition.rhythm !== 'rule' && !(Number.isInteger(times) && times >= 1 && times <= TIMES_MOST)) add('what', 'times', at)
  })
  if (countOf(form) > TIMES_MOST) add('what', 'count')

  const seats = seatsOf(form)
  if (form.side === 'supervisor' && form.owners.length === 0) add('who', 'owners')
  if (form.side === 'owner' && form.watching === 'named' && form.supervisors.length === 0) add('who', 'supervisors')
  if (form.side === 'owner' && form.watching === 'listed' && form.visibility === 'group' && !form.group) add('who', 'group')
  if (form.side === 'owner' && form.watching === 'staff' && !form.template) add('who', 'template')
  if (seats.most > 1 && form.rule === 'k_of_n' && !(form.k >= 1 && form.k <= seats.least)) add('who', 'k')

  const kind = kindOf(form)
  if (isMoney(kind)) {
    const amount = form.amount.minor
    if (amount === null) add('stake', 'amount')
    for (const outcome of ['kept', 'failed'] as const) {
      const moves = movesOf(form, outcome)
      if (portionOf(form, outcome) === 'part' && (moves === null || (amount !== null && moves > amount))) add('stake', outcome)
    }
  }
  if ((kind === 'message' || kind === 'chore') && form.words.trim() === '') add('stake', 'words')
  if ((kind === 'message' || kind === 'chore') && !form.to) add('stake', 'to')
  if (kind === 'points' && !(Number.isInteger(form.points) && form.points >= 1 && form.points <= POINTS_MOST)) add('stake', 'points')
  return found
}

/** On which step the field stands that the server has refused (`terms.stake.amount`). */
export function stepOfField(field: string | null): Step {
  const name = (field ?? '').replace(/^terms\./, '')
  if (name.startsWith('stake')) return 'stake'
  return /^(owner|supervisors|least|most|rule|visibility|group|template|checks)/.test(name) ? 'who' : 'what'
}

// ── What was drafted before ──

export function formOf(pledge: PledgeView, zone: string, spelled: (minor: number, currency: Currency) => string): PledgeForm {
  const { terms } = pledge
  const { stake } = terms
  const currency = stake.currency ?? 'CNY'
  const written = (minor: number): AmountForm => (minor > 0 ? { text: spelled(minor, currency), minor } : { ...NO_AMOUNT })
  const portion = (moves: number): Portion => (moves === 0 ? 'none' : moves === stake.amount ? 'all' : 'part')
  const named = pledge.seats.map((seat) => seat.person.id)
  const empty = emptyForm(zone, '', currency)
  return {
    ...empty,
    side: pledge.side,
    owners: pledge.side === 'supervisor' ? [pledge.owner.id] : [],
    title: terms.title,
    why: terms.why,
    zone: terms.zone,
    tasks: terms.tasks.map((task) => ({
      title: terms.tasks.length === 1 && task.title === terms.title ? '' : task.title,
      details: task.details,
      date: task.due.slice(0, 10),
      time: task.due.slice(11),
      repetition: repetitionOf(task.repeat),
      opens: task.opens,
    })),
    needed: terms.needed,
    grace: terms.grace,
    watching: terms.stake.kind === 'staff' ? 'staff' : terms.visibility === 'named' ? 'named' : 'listed',
    supervisors: pledge.side === 'owner' ? named : [],
    least: terms.least,
    most: terms.most,
    rule: terms.rule.kind,
    k: terms.rule.k || 1,
    visibility: terms.visibility === 'named' ? empty.visibility : terms.visibility,
    group: terms.group ?? '',
    template: terms.template ?? '',
    judge: terms.judge,
    challenge: terms.challenge,
    checks: { ...terms.checks },
    kind: stake.kind,
    currency,
    amount: written(stake.amount),
    kept: portion(stake.moves_if_kept),
    keptPart: written(stake.moves_if_kept),
    failed: portion(stake.moves_if_failed),
    failedPart: written(stake.moves_if_failed),
    words: stake.words,
    to: stake.to ?? '',
    points: stake.points || empty.points,
  }
}

/** What was kept on this device, as far as this version understands it; null: begin anew. */
export function formFrom(stored: unknown, empty: PledgeForm): PledgeForm | null {
  if (stored === null || typeof stored !== 'object') return null
  const known = Object.keys(empty).every((name) => typeof Reflect.get(stored, name) === typeof Reflect.get(empty, name))
  const form = stored as PledgeForm
  return known && Array.isArray(form.tasks) && form.tasks.length > 0 && form.tasks.every((task) => typeof task.repetition?.rhythm === 'string') ? { ...empty, ...form } : null
}

