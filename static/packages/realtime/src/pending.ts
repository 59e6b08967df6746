/** What the outbox knows of one append, and what others see of it. */

import type { Cancel } from './environment.js'
import type { RealtimeError } from './faults.js'
import type { Ack } from './generated/protocol.js'
import type { StoredAppend } from './storage.js'
import type { Pending, PendingState } from './types.js'

export interface Waiter {
  resolve(ack: Ack): void
  reject(fault: RealtimeError): void
}

export interface Item {
  row: StoredAppend
  state: PendingState
  size: number
  /** Safe in the storage, or known not to be storable: may be sent. */
  ready: boolean
  tries: number
  seq: number | undefined
  ack: Ack | undefined
  cancel: Cancel | null
  view: Pending
  waiters: Waiter[]
}

export interface Lane {
  items: Item[]
  /** Set while the channel must wait after a passing refusal. */
  hold: Cancel | null
  list: readonly Pending[]
}

export function itemOf(row: StoredAppend, size: number): Item {
  const state: PendingState = row.error ? 'failed' : 'waiting'
  return {
    row,
    state,
    size,
    ready: false,
    tries: 0,
    seq: undefined,
    ack: undefined,
    cancel: null,
    view: viewOf(row, state, undefined),
    waiters: [],
  }
}

export function viewOf(row: StoredAppend, state: PendingState, seq: number | undefined): Pending {
  const { id, ch, kind, body, ref, at, error } = row
  return Object.freeze({
    id,
    ch,
    kind,
    body,
    ref,
    at,
    state,
    ...(state === 'failed' && error ? { error } : {}),
    ...(seq === undefined ? {} : { seq }),
  })
}
