/** A small true hub for the other end of the wires: one log per channel, and faults on demand. */

import type { ClientFrame, Entry, ServerFrame } from '../src/generated/protocol.js'
import { LIN, MEI } from './world.js'
import type { Wire } from './world.js'

/** What may go wrong with one frame on its way to the client. */
export type Mishap = 'none' | 'drop' | 'double' | 'swap' | 'cut'

export class Hub {
  epoch = 'e1'
  readonly logs = new Map<string, Entry[]>()
  /** How many of the client's next appends find the connection cut before they arrive. */
  deaf = 0
  #wire: Wire | null = null
  #live = new Map<string, true>()
  #mishaps: Mishap[] = []
  #held: ServerFrame | null = null
  #sameEpoch = true
  #beat = 0

  log(ch: string): Entry[] {
    let log = this.logs.get(ch)
    if (!log) this.logs.set(ch, (log = []))
    return log
  }

  /** The next frames to the client meet these, one each. */
  expect(mishaps: Mishap[]): void {
    this.#mishaps.push(...mishaps)
  }

  calm(): void {
    this.#mishaps = []
    this.deaf = 0
  }

  /** Somebody else appends. */
  other(ch: string): void {
    this.#append(ch, MEI, `other-${(this.#beat += 1)}-of-mei`.padEnd(16, '-'), 'message', {})
  }

  /** The database is restored from a copy that lacks the newest entries. */
  restore(lost: number): void {
    this.epoch = `${this.epoch}+`
    for (const log of this.logs.values()) log.splice(Math.max(0, log.length - lost))
    this.cut()
  }

  cut(): void {
    const wire = this.#wire
    this.#wire = null
    this.#live.clear()
    this.#held = null
    wire?.drop(1006)
  }

  attach(wire: Wire): void {
    this.#wire = wire
    this.#live.clear()
    this.#held = null
    wire.answer = (frame) => {
      if (this.#wire !== wire) return
      if (frame.t === 'append' && this.deaf > 0) {
        this.deaf -= 1
        this.cut()
      } else {
        this.#hear(frame)
      }
    }
    wire.accept()
  }

  #hear(frame: ClientFrame): void {
    switch (frame.t) {
      case 'hello':
        this.#sameEpoch = frame.epoch == null || frame.epoch === this.epoch
        this.#wire?.welcome(LIN, this.epoch)
        return
      case 'subscribe':
        for (const { ch, after } of frame.channels) this.#subscribe(frame.rid, ch, after ?? null)
        return
      case 'unsubscribe':
        for (const ch of frame.channels) this.#live.delete(ch)
        return
      case 'append': {
        const entry = this.#append(frame.ch, LIN, frame.id, frame.kind, frame.body as Entry['body'])
        this.#say({ t: 'ack', id: frame.id, ch: frame.ch, seq: entry.seq, n: entry.n, at: entry.at })
        return
      }
      case 'history': {
        const entries = this.log(frame.ch).slice(-(frame.limit ?? 50))
        const head = this.log(frame.ch).length
        this.#wire?.say({ t: 'page', rid: frame.rid, page: { ch: frame.ch, head, n: head, first: 1, entries } })
        return
      }
      case 'ping':
        this.#wire?.say({ t: 'pong', rid: frame.rid, at: 0 })
        return
      default:
        return
    }
  }

  #subscribe(rid: number, ch: string, after: number | null): void {
    const log = this.log(ch)
    const gap = after === null ? null : !this.#sameEpoch ? 'epoch' : after > log.length ? 'ahead' : null
    const head = log.length
    // The answer itself always arrives: what is lost is lost with the connection, or is an entry that a bus has lost.
    this.#wire?.say({ t: 'subscribed', rid, ch, head, n: head, write: true, signal: true, ...(gap ? { gap } : {}) })
    this.#live.set(ch, true)
    if (after !== null && gap === null) {
      for (const entry of log.slice(after)) this.#wire?.say({ t: 'entry', ch, entry })
    }
  }

  #append(ch: string, by: string, id: string, kind: string, body: Entry['body']): Entry {
    const log = this.log(ch)
    const known = log.find((entry) => entry.by === by && entry.id === id)
    if (known) return known
    const entry: Entry = { seq: log.length + 1, n: log.length + 1, at: 5, by, id, kind, body }
    log.push(entry)
    if (this.#live.has(ch)) this.#say({ t: 'entry', ch, entry })
    return entry
  }

  #say(frame: ServerFrame): void {
    const mishap = this.#mishaps.shift() ?? 'none'
    const held = this.#held
    this.#held = null
    if (mishap === 'swap' && !held) this.#held = frame
    else if (mishap === 'double') this.#wire?.say(frame, frame)
    else if (mishap === 'cut') this.cut()
    else if (mishap !== 'drop') this.#wire?.say(frame)
    if (held) this.#wire?.say(held)
  }
}
