/**
 * Appends on their way: stored before they are sent, in order within their channel, sent again under the same id until
 * they are acknowledged. A channel has one append on the wire at a time: a refused one can then never be overtaken by
 * the next.
 */

import { delayAfter, passes } from './backoff.js'
import type { Environment } from './environment.js'
import { RealtimeError } from './faults.js'
import type { FaultCode } from './faults.js'
import { MAX_BODY } from './generated/protocol.js'
import type { Ack, ClientFrame, Entry, ErrorFrame } from './generated/protocol.js'
import { itemOf, viewOf } from './pending.js'
import type { Item, Lane, Waiter } from './pending.js'
import { Shelf } from './shelf.js'
import type { Storage, StoredAppend } from './storage.js'
import type { Tabs } from './tabs.js'
import type { Pending, PendingState } from './types.js'

/** Milliseconds until an append without an answer is sent again. */
export const ACK_WITHIN = 15_000
/** An append that the server fails on this often is set aside, so that it does not hold up its channel for ever. */
export const INTERNAL_TRIES = 8
/** How much may be waiting. */
export const MAX_WAITING = 1_000
export const MAX_WAITING_BYTES = 8 * 1024 * 1024

export interface OutboxUpcalls {
  send(frame: ClientFrame): void
  /** The pending list of this channel has changed. */
  changed(ch: string): void
  counted(count: number): void
  /** True when the entry with this number has already been delivered, or never will be (nobody listens). */
  seen(ch: string, seq: number): boolean
  fault(what: string, detail: unknown): void
}

const NONE: readonly Pending[] = []

export class Outbox {
  readonly #environment: Environment
  readonly #shelf: Shelf
  readonly #tabs: Tabs
  readonly #up: OutboxUpcalls
  readonly #lanes = new Map<string, Lane>()
  readonly #items = new Map<string, Item>()
  #online = false
  /** What an earlier life of this person left behind has been read: only then may anything be sent, or it would overtake. */
  #restored = false
  #restoring: Promise<void> | null = null
  #lastOrder = 0
  #bytes = 0
  #count = 0

  constructor(environment: Environment, storage: Storage, tabs: Tabs, up: OutboxUpcalls) {
    this.#environment = environment
    this.#shelf = new Shelf(environment, storage, (what, detail) => up.fault(what, detail))
    this.#tabs = tabs
    this.#up = up
  }

  get count(): number {
    return this.#count
  }

  list(ch: string): readonly Pending[] {
    return this.#lanes.get(ch)?.list ?? NONE
  }

  all(): readonly Pending[] {
    return [...this.#items.values()].sort((a, b) => a.row.order - b.row.order).map((item) => item.view)
  }

  /** `body` is copied; it must be what JSON can say. An `id` that is here already stands for what it stood for. */
  add(ch: string, kind: string, body: object, ref: number | null, more: { id?: string | undefined; waiter?: Waiter } = {}): Pending {
    const known = more.id === undefined ? undefined : this.#items.get(more.id)
    if (known) {
      if (more.waiter) this.#join(known, more.waiter)
      return known.view
    }
    const text = JSON.stringify(body)
    const size = new TextEncoder().encode(text).length
    const order = Math.max(this.#lastOrder + 1, this.#environment.now() * 1000)
    this.#lastOrder = order
    const row: StoredAppend = {
      id: more.id ?? this.#environment.newId(),
      ch,
      kind,
      body: JSON.parse(text) as Record<string, unknown>,
      ref,
      at: this.#environment.now(),
      order,
      tab: this.#tabs.id,
      error: this.#tooMuch(size),
    }
    const item = this.#insert(row, size)
    if (more.waiter) item.waiters.push(more.waiter)
    if (row.error) {
      item.ready = true
      this.#settleWaiters(item, new RealtimeError(row.error.code, row.error.message))
    } else {
      this.#write(item)
    }
    this.#touch(ch)
    return item.view
  }

  /** Takes over what this person's dead tabs left behind. Called at the start and from time to time. */
  restore(): Promise<void> {
    this.#restoring ??= this.#adopt().finally(() => {
      this.#restoring = null
    })
    return this.#restoring
  }

  async #adopt(): Promise<void> {
    try {
      await this.#tabs.alone(async () => {
        const rows = await this.#shelf.load()
        const foreign = new Set(rows.map((row) => row.tab).filter((tab) => tab !== this.#tabs.id))
        const living = foreign.size ? await this.#tabs.living(foreign) : new Set<string>()
        // Without knowledge of other tabs only the first look takes over; later ones would take from the living.
        if (living === null && this.#restored) return
        for (const row of rows) {
          if (this.#items.has(row.id) || row.tab === this.#tabs.id || living?.has(row.tab)) continue
          const adopted = { ...row, tab: this.#tabs.id }
          this.#shelf.put(adopted)
          const item = this.#insert(adopted, new TextEncoder().encode(JSON.stringify(row.body)).length)
          item.ready = true
          this.#touch(row.ch)
        }
      })
    } catch (fault) {
      this.#up.fault('storage', fault)
    }
    this.#restored = true
    for (const ch of [...this.#lanes.keys()]) this.#pump(ch)
  }

  online(): void {
    this.#online = true
    for (const ch of [...this.#lanes.keys()]) this.#pump(ch)
  }

  /** The epoch has changed: what refers to an entry by number would hit another one. */
  renumbered(): void {
    for (const item of this.#items.values()) {
      if (item.row.ref === null || item.state === 'failed' || item.state === 'sent') continue
      item.cancel?.()
      item.cancel = null
      this.#fail(item, new RealtimeError('conflict', 'The entry that this is about has another number now.'))
      this.#touch(item.row.ch)
    }
  }

  /** What is on the wire was not heard: puts it there again. */
  repeat(): void {
    for (const item of this.#items.values()) if (item.state === 'sending') this.#put(item)
  }

  /** What was on the wire may or may not have arrived: it will be sent again. */
  lost(): void {
    this.#online = false
    for (const [ch, lane] of this.#lanes) {
      lane.hold?.()
      lane.hold = null
      let changed = false
      for (const item of lane.items) {
        item.cancel?.()
        item.cancel = null
        if (item.state === 'sending') {
          this.#become(item, 'waiting')
          changed = true
        }
      }
      if (changed) this.#touch(ch)
    }
  }

  acknowledged(ack: Omit<Ack, 't'>): void {
    const item = this.#items.get(ack.id)
    if (!item || item.state === 'sent' || item.row.ch !== ack.ch) return
    item.cancel?.()
    item.cancel = null
    item.seq = ack.seq
    item.ack = { t: 'ack', ...ack }
    this.#become(item, 'sent')
    this.#shelf.remove(item.row.id)
    for (const waiter of item.waiters.splice(0)) waiter.resolve(item.ack)
    if (this.#up.seen(ack.ch, ack.seq)) this.#drop(item)
    this.#touch(ack.ch)
    this.#pump(ack.ch)
  }

  /** An own entry has come by the log or in a page: as good as an acknowledgement. `now`: it is about to be delivered. */
  arrived(ch: string, entry: Entry, now: boolean): void {
    const item = this.#items.get(entry.id)
    if (!item || item.row.ch !== ch) return
    if (item.state !== 'sent') {
      this.acknowledged({ id: entry.id, ch, seq: entry.seq, n: entry.n, at: entry.at })
    }
    if (now && this.#items.has(entry.id)) {
      this.#drop(item)
      this.#touch(ch)
    }
  }

  /** The channel's run of entries has broken off (a reset, or nobody listens): acknowledged appends wait no longer. */
  parted(ch: string): void {
    const sent = this.#lanes.get(ch)?.items.filter((item) => item.state === 'sent') ?? []
    for (const item of sent) this.#drop(item)
    if (sent.length) this.#touch(ch)
  }

  /** True when the refusal was of one of ours. */
  refused(frame: ErrorFrame): boolean {
    const item = frame.id == null ? undefined : this.#items.get(frame.id)
    if (!item) return false
    if (item.state !== 'sending') return true
    item.cancel?.()
    item.cancel = null
    item.tries += 1
    // `unauthenticated` is about the connection: it will be closed, and the words must survive the next sign-in.
    const passing = passes(frame.code) || frame.code === 'unauthenticated'
    if (passing && !(frame.code === 'internal' && item.tries >= INTERNAL_TRIES)) {
      this.#become(item, 'waiting')
      this.#hold(item.row.ch, delayAfter(item.tries, frame.retry_after, this.#environment.random))
    } else {
      this.#fail(item, RealtimeError.from(frame))
    }
    this.#touch(item.row.ch)
    this.#pump(item.row.ch)
    return true
  }

  retry(id: string): boolean {
    const old = this.#items.get(id)
    if (old?.state !== 'failed') return false
    const error = this.#tooMuch(old.size, old)
    if (error) {
      this.#fail(old, new RealtimeError(error.code, error.message))
      this.#touch(old.row.ch)
      return true
    }
    old.tries = 0
    old.row = { ...old.row, error: null }
    if (old.view.error?.code === 'idempotency_conflict') {
      // The log holds something else under this id: only a new one can go through.
      this.#items.delete(id)
      this.#shelf.remove(id)
      old.row = { ...old.row, id: this.#environment.newId() }
      this.#items.set(old.row.id, old)
    }
    this.#become(old, 'waiting')
    this.#write(old)
    this.#touch(old.row.ch)
    return true
  }

  discard(id: string): boolean {
    const item = this.#items.get(id)
    if (!item || item.state === 'sending' || item.state === 'sent') return false
    item.cancel?.()
    this.#drop(item)
    this.#shelf.remove(item.row.id)
    this.#settleWaiters(item, new RealtimeError('aborted'))
    this.#touch(item.row.ch)
    this.#pump(item.row.ch)
    return true
  }

  /** Nobody will hear how their appends end; the appends themselves stay stored. */
  end(): void {
    for (const item of this.#items.values()) this.#settleWaiters(item, new RealtimeError('closed'))
  }

  /** Forgets all, here and in the storage. */
  async erase(): Promise<void> {
    this.end()
    const channels = [...this.#lanes.keys()]
    this.lost()
    this.#lanes.clear()
    this.#items.clear()
    this.#bytes = 0
    for (const ch of channels) this.#touch(ch)
    // What is just being taken over from dead tabs must not be put back behind us.
    await this.#restoring
    this.#lanes.clear()
    this.#items.clear()
    this.#bytes = 0
    await this.#shelf.erase()
  }

  #insert(row: StoredAppend, size: number): Item {
    const item = itemOf(row, size)
    let lane = this.#lanes.get(row.ch)
    if (!lane) this.#lanes.set(row.ch, (lane = { items: [], hold: null, list: NONE }))
    const at = lane.items.findLastIndex((other) => other.row.order <= row.order) + 1
    lane.items.splice(at, 0, item)
    this.#items.set(row.id, item)
    this.#bytes += size
    this.#lastOrder = Math.max(this.#lastOrder, row.order)
    return item
  }

  #tooMuch(size: number, self?: Item): StoredAppend['error'] {
    if (size > MAX_BODY) return { code: 'too_large', message: 'This is larger than allowed.' }
    const [others, bytes] = self ? [this.#items.size - 1, this.#bytes - self.size] : [this.#items.size, this.#bytes]
    if (others < MAX_WAITING && bytes + size <= MAX_WAITING_BYTES) return null
    return { code: 'limit_reached', message: 'Too much is waiting to be sent.' }
  }

  #write(item: Item): void {
    const { ch } = item.row
    item.ready = false
    this.#shelf.put(item.row, () => {
      item.ready = true
      this.#pump(ch)
    })
  }

  #fail(item: Item, fault: RealtimeError): void {
    const error: { code: FaultCode; message: string; field?: string } = { code: fault.code, message: fault.message }
    if (fault.field !== undefined) error.field = fault.field
    item.row = { ...item.row, error }
    this.#become(item, 'failed')
    this.#shelf.put(item.row)
    this.#settleWaiters(item, fault)
  }

  /** Somebody else wants to hear how this one ends, which may have happened already. */
  #join(item: Item, waiter: Waiter): void {
    const { error } = item.row
    if (item.ack) waiter.resolve(item.ack)
    else if (error) waiter.reject(new RealtimeError(error.code, error.message))
    else item.waiters.push(waiter)
  }

  #settleWaiters(item: Item, fault: RealtimeError): void {
    for (const waiter of item.waiters.splice(0)) waiter.reject(fault)
  }

  #become(item: Item, state: PendingState): void {
    item.state = state
    item.view = viewOf(item.row, state, item.seq)
  }

  #drop(item: Item): void {
    if (!this.#items.delete(item.row.id)) return
    this.#bytes -= item.size
    const lane = this.#lanes.get(item.row.ch)
    const at = lane?.items.indexOf(item) ?? -1
    if (at >= 0) lane?.items.splice(at, 1)
  }

  #hold(ch: string, milliseconds: number): void {
    const lane = this.#lanes.get(ch)
    if (!lane) return
    lane.hold?.()
    lane.hold = this.#environment.after(milliseconds, () => {
      lane.hold = null
      if (lane.items.length) this.#pump(ch)
      else this.#lanes.delete(ch)
    })
  }

  /** Sends the channel's next append if it may. */
  #pump(ch: string): void {
    const lane = this.#lanes.get(ch)
    if (!this.#online || !this.#restored || !lane || lane.hold) return
    const next = lane.items.find((item) => item.state === 'waiting' || item.state === 'sending')
    if (!next || next.state === 'sending' || !next.ready) return
    this.#become(next, 'sending')
    this.#put(next)
    this.#touch(ch)
  }

  #put(item: Item): void {
    const { id, ch, kind, body, ref } = item.row
    item.cancel?.()
    // No answer on a living connection: the same id makes asking again safe.
    item.cancel = this.#environment.after(ACK_WITHIN, () => this.#put(item))
    this.#up.send({ t: 'append', id, ch, kind, body, ...(ref === null ? {} : { ref }) })
  }

  /** Renews the channel's list and the count, and tells. */
  #touch(ch: string): void {
    const lane = this.#lanes.get(ch)
    if (lane) {
      lane.list = lane.items.map((item) => item.view)
      if (!lane.items.length && !lane.hold) this.#lanes.delete(ch)
    }
    this.#up.changed(ch)
    let count = 0
    for (const item of this.#items.values()) if (item.state === 'waiting' || item.state === 'sending') count += 1
    if (count !== this.#count) {
      this.#count = count
      this.#up.counted(count)
    }
  }
}
