/** Requests that are answered by number: sent when there is a connection, sent again after it was lost, given up in the end. */

import { delayAfter, passes } from './backoff.js'
import type { Cancel, Environment } from './environment.js'
import { RealtimeError } from './faults.js'
import type { ClientFrame, ErrorFrame, History, Page } from './generated/protocol.js'

/** Milliseconds that an answer may take once the request is on the wire. */
export const ANSWER_WITHIN = 20_000
/** How often a request is put on the wire while answers fail; losing the connection does not count. */
const TRIES = 4

interface Waiting {
  readonly frame: Omit<History, 'rid'>
  readonly resolve: (page: Page) => void
  readonly reject: (fault: RealtimeError) => void
  /** Its number on this connection; null while it is not on the wire. */
  rid: number | null
  tries: number
  cancel: Cancel | null
}

export class Requests {
  readonly #environment: Environment
  readonly #send: (frame: ClientFrame) => void
  readonly #nextRid: () => number
  readonly #waiting = new Set<Waiting>()
  readonly #sent = new Map<number, Waiting>()
  #online = false

  constructor(environment: Environment, send: (frame: ClientFrame) => void, nextRid: () => number) {
    this.#environment = environment
    this.#send = send
    this.#nextRid = nextRid
  }

  history(frame: Omit<History, 'rid'>, signal?: AbortSignal): Promise<Page> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { frame, resolve, reject, rid: null, tries: 0, cancel: null }
      if (signal?.aborted) {
        reject(new RealtimeError('aborted'))
        return
      }
      signal?.addEventListener('abort', () => this.#finish(waiting, new RealtimeError('aborted')), { once: true })
      this.#waiting.add(waiting)
      if (this.#online) this.#put(waiting)
    })
  }

  online(): void {
    this.#online = true
    for (const waiting of [...this.#waiting]) this.#put(waiting)
  }

  /** What is on the wire was not heard: puts it there again. */
  repeat(): void {
    for (const waiting of [...this.#sent.values()]) {
      this.#take(waiting)
      this.#put(waiting)
    }
  }

  lost(): void {
    this.#online = false
    for (const waiting of this.#waiting) this.#take(waiting)
  }

  page(rid: number, page: Page): void {
    const waiting = this.#sent.get(rid)
    if (!waiting) return
    this.#take(waiting)
    this.#waiting.delete(waiting)
    waiting.resolve(page)
  }

  /** True when the refusal was the answer to one of ours. */
  refused(frame: ErrorFrame): boolean {
    const waiting = frame.rid == null ? undefined : this.#sent.get(frame.rid)
    if (!waiting) return false
    this.#take(waiting)
    if (passes(frame.code) && waiting.tries < TRIES) {
      const wait = delayAfter(waiting.tries, frame.retry_after, this.#environment.random)
      waiting.cancel = this.#environment.after(wait, () => this.#put(waiting))
    } else {
      this.#finish(waiting, RealtimeError.from(frame))
    }
    return true
  }

  /** Nothing will be answered any more. */
  end(): void {
    for (const waiting of [...this.#waiting]) this.#finish(waiting, new RealtimeError('closed'))
  }

  #put(waiting: Waiting): void {
    if (!this.#online || !this.#waiting.has(waiting) || waiting.rid !== null) return
    waiting.cancel?.()
    waiting.rid = this.#nextRid()
    waiting.tries += 1
    this.#sent.set(waiting.rid, waiting)
    waiting.cancel = this.#environment.after(ANSWER_WITHIN, () => {
      this.#take(waiting)
      if (waiting.tries < TRIES) this.#put(waiting)
      else this.#finish(waiting, new RealtimeError('timeout'))
    })
    this.#send({ ...waiting.frame, rid: waiting.rid })
  }

  /** Takes it off the wire. */
  #take(waiting: Waiting): void {
    waiting.cancel?.()
    waiting.cancel = null
    if (waiting.rid !== null) this.#sent.delete(waiting.rid)
    waiting.rid = null
  }

  #finish(waiting: Waiting, fault: RealtimeError): void {
    if (!this.#waiting.delete(waiting)) return
    this.#take(waiting)
    waiting.reject(fault)
  }
}
