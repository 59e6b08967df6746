/**
 * A form that moves money, once: its id is made with the form and survives a reload, so that asking again – by a double
 * click, after a lost answer, by a reload in the middle – is answered with the same thing. While nobody knows whether it
 * was done, what was asked cannot be changed, only asked again.
 */

import { faultCode, type FaultCode } from '../api/fault'

/** Where a page keeps what was begun; sessionStorage, so that two tabs are two forms. */
export type Shelf = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>

export interface Begun<F> {
  readonly id: string
  readonly fields: F
  /** It was sent and no answer has come. */
  readonly sent: boolean
}

/** Refusals after which something may have been done all the same. */
const UNCERTAIN: readonly FaultCode[] = ['offline', 'internal', 'unavailable', 'try_later']

export function isUncertain(error: unknown): boolean {
  return UNCERTAIN.includes(faultCode(error))
}

/** What was begun under this name; null: nothing that this version understands. */
export function begunOf<F extends object>(shelf: Shelf, name: string, empty: F): Begun<F> | null {
  try {
    const found: unknown = JSON.parse(shelf.getItem(name) ?? 'null')
    if (found === null || typeof found !== 'object') return null
    const { id, fields, sent } = found as Partial<Begun<F>>
    if (typeof id !== 'string' || fields === null || typeof fields !== 'object') return null
    const known = Object.keys(empty).every((key) => typeof Reflect.get(fields, key) === typeof Reflect.get(empty, key))
    return known ? { id, fields, sent: sent === true } : null
  } catch {
    return null
  }
}

/** A full or forbidden store only means that a reload forgets. */
export function keepBegun<F>(shelf: Shelf, name: string, begun: Begun<F> | null): void {
  try {
    if (begun === null) shelf.removeItem(name)
    else shelf.setItem(name, JSON.stringify(begun))
  } catch {
    // the form goes on without
  }
}
