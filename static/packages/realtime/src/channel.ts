/** One subscribed channel: which entry comes next, what was told, and who listens. */

import { delay, passes } from './backoff.js'
import type { Cancel, Environment } from './environment.js'
import type {
  Code,
  Dropped,
  Entry,
  PositionEvent,
  Presence,
  SignalEvent,
  Subscribed,
  Want,
} from './generated/protocol.js'
import type { ChannelEvents, ChannelInfo, ResetReason } from './types.js'

/** How many times in a row a hole at the same place is answered by subscribing again; then it is a reset. */
const HOLES = 3

/**
 * `wanted`: to be subscribed as soon as frames can go out. `asked`: the answer is awaited, entries of an earlier
 * subscription are ignored. `resting`: asks again later. `refused`: not before somebody opens it again.
 */
type Phase = 'closed' | 'wanted' | 'asked' | 'live' | 'resting' | 'refused'

export interface ChannelUpcalls {
  /** There is something to subscribe. */
  wanted(): void
  /** Every event, for those who listen. */
  emit<Name extends keyof ChannelEvents>(name: Name, ...values: ChannelEvents[Name]): void
  /** The next entries need not follow those before: what is acknowledged may never come by here. */
  parted(): void
  fault(what: string, detail: unknown): void
}

const NOBODY: ReadonlySet<string> = new Set()

export class Channel {
  readonly ch: string
  phase: Phase = 'closed'
  info: ChannelInfo | null = null
  online: ReadonlySet<string> = NOBODY
  onlineCount = 0
  /** The last entry delivered, or skipped by a reset; null: starts at the head. */
  last: number | null = null
  rid = 0

  readonly #environment: Environment
  readonly #up: ChannelUpcalls
  /** What `last` was when the pending subscription was asked for. */
  #after: number | null = null
  /** `last` is a number of an earlier epoch: it means nothing any more, which the listeners have not been told yet. */
  #foreign = false
  #holes = 0
  #tries = 0
  #rest: Cancel | null = null

  constructor(ch: string, environment: Environment, up: ChannelUpcalls) {
    this.ch = ch
    this.#environment = environment
    this.#up = up
  }

  open(after: number | null): void {
    if (this.phase !== 'closed' && this.phase !== 'refused') return
    if (this.phase === 'closed') this.last = after
    this.#want()
  }

  /** True when the server still holds a subscription that must be ended. */
  close(): boolean {
    const subscribed = this.phase === 'asked' || this.phase === 'live'
    this.#rest?.()
    this.#rest = null
    this.phase = 'closed'
    this.last = null
    this.#foreign = false
    this.info = null
    this.online = NOBODY
    this.onlineCount = 0
    return subscribed
  }

  /** True when the entry with this number has been delivered already, or will not be: nobody is subscribed. */
  seen(seq: number): boolean {
    return this.phase === 'closed' || this.phase === 'refused' || (this.last !== null && this.last >= seq)
  }

  /** True when an entry with this number would be delivered now. */
  next(seq: number): boolean {
    return this.phase === 'live' && this.last !== null && this.last + 1 === seq
  }

  /** The subscription as it is now asked for under `rid`. */
  ask(rid: number): Want {
    this.phase = 'asked'
    this.rid = rid
    this.#after = this.#foreign ? null : this.last
    return this.#after === null ? { ch: this.ch } : { ch: this.ch, after: this.#after }
  }

  /**
   * The epoch has changed. What has been asked for is answered by a gap, unless the connection is lost before; then the
   * next hello carries the new epoch, and only we know that our place is of the old one.
   */
  renumbered(): void {
    this.#foreign = this.last !== null
  }

  /** The connection is gone. */
  lost(): void {
    this.#rest?.()
    this.#rest = null
    if (this.phase === 'asked' || this.phase === 'live' || this.phase === 'resting') this.phase = 'wanted'
    if (this.onlineCount) this.#present(NOBODY)
  }

  subscribed(frame: Subscribed): void {
    if (this.phase !== 'asked' || frame.rid !== this.rid) return
    this.phase = 'live'
    this.#tries = 0
    // A head before our own place is a gap, whether the server says so or not.
    const ahead = this.#after !== null && frame.head < this.#after
    const gap = frame.gap ?? (this.#foreign ? 'epoch' : ahead ? 'ahead' : null)
    const fresh = this.#after === null
    this.#foreign = false
    if (gap !== null || fresh) this.last = frame.head
    this.info = {
      head: frame.head,
      n: frame.n,
      first: frame.first ?? 1,
      read: frame.read ?? 0,
      read_n: frame.read_n ?? 0,
      delivered: frame.delivered ?? 0,
      write: frame.write ?? false,
      signal: frame.signal ?? false,
    }
    if (gap !== null) this.#reset(gap)
    else if (fresh) this.#up.parted()
    this.#up.emit('info', this.info)
  }

  entry(entry: Entry): void {
    if (this.phase !== 'live' || this.last === null || entry.seq <= this.last) return
    if (entry.seq !== this.last + 1) {
      this.#hole(entry)
      if (this.last === null || entry.seq !== this.last + 1) return
    }
    this.#holes = 0
    this.last = entry.seq
    if (this.info && entry.seq > this.info.head) this.info = { ...this.info, head: entry.seq, n: entry.n }
    this.#up.emit('entry', entry)
    if (this.info) this.#up.emit('info', this.info)
  }

  /** The answer to the subscription `rid`. It may follow `subscribed`: the server met a fault while it replayed. */
  refusedFor(rid: number, code: Code, retryAfter: number | null = null): void {
    if (this.rid === rid && (this.phase === 'asked' || this.phase === 'live')) this.#refused(code, retryAfter)
  }

  dropped(frame: Dropped): void {
    if (this.phase === 'live') this.#refused(frame.code, null)
  }

  /** No answer came to the subscription `rid` (to whichever is pending, without a number). */
  unanswered(rid = this.rid): void {
    if (this.phase === 'asked' && this.rid === rid) this.#want()
  }

  signalled({ by, kind, body }: SignalEvent): void {
    if (this.phase === 'live') this.#up.emit('signal', { by, kind, body })
  }

  presence(frame: Presence): void {
    if (this.phase !== 'live') return
    if (frame.count != null) return this.#present(NOBODY, frame.count)
    const online = new Set(frame.online ?? this.online)
    for (const person of frame.joined ?? []) online.add(person)
    for (const person of frame.left ?? []) online.delete(person)
    this.#present(online)
  }

  position({ by, read, read_n, delivered }: PositionEvent, own: boolean): void {
    if (this.phase !== 'live') return
    if (own && this.info) this.info = { ...this.info, read, read_n, delivered }
    this.#up.emit('position', { by, read, read_n, delivered })
    if (own && this.info) this.#up.emit('info', this.info)
  }

  #refused(code: Code, retryAfter: number | null): void {
    this.online = NOBODY
    this.onlineCount = 0
    if (passes(code)) {
      this.#again(Math.max((retryAfter ?? 0) * 1000, delay((this.#tries += 1) + 2, this.#environment.random)))
      return
    }
    this.phase = 'refused'
    this.#up.parted()
    this.#up.emit('dropped', code)
  }

  #want(): void {
    this.#rest?.()
    this.#rest = null
    this.phase = 'wanted'
    this.#up.wanted()
  }

  #again(milliseconds: number): void {
    this.phase = 'resting'
    this.#rest?.()
    this.#rest = this.#environment.after(milliseconds, () => this.#want())
  }

  /** Entries are missing before this one: what the log says counts, so we ask it again from where we are. */
  #hole(entry: Entry): void {
    this.#holes += 1
    this.#up.fault('hole', { ch: this.ch, last: this.last, seq: entry.seq })
    if (this.#holes > HOLES) {
      this.#holes = 0
      this.last = entry.seq - 1
      this.#reset('hole')
    } else if (this.#holes === 1) {
      this.#want()
    } else {
      this.#again(delay(this.#holes, this.#environment.random))
    }
  }

  #reset(reason: ResetReason): void {
    this.#up.parted()
    this.#up.emit('reset', reason)
  }

  #present(online: ReadonlySet<string>, count = online.size): void {
    this.online = online
    this.onlineCount = count
    this.#up.emit('presence', online, count)
  }
}
