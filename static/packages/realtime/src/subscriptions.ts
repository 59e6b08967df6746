/** Which channels are held, by whom; says in few frames what is to be subscribed, and gives each its news. */

import { Channel } from './channel.js'
import type { Cancel, Environment } from './environment.js'
import { MAX_CHANNELS_PER_FRAME } from './generated/protocol.js'
import type { ClientFrame, ErrorFrame, ServerFrame } from './generated/protocol.js'
import type { Handle } from './handle.js'
import { ANSWER_WITHIN } from './requests.js'
import type { ChannelEvents } from './types.js'

export interface SubscriptionsUpcalls {
  rid(): number
  /** Hello is said: frames may go out. */
  open(): boolean
  send(frame: ClientFrame): void
  /** The channel's run of entries has broken off: what is acknowledged may never come by. */
  parted(ch: string): void
  fault(what: string, detail: unknown): void
}

interface Held {
  readonly channel: Channel
  /** Open handles; the channel is subscribed while there are any. */
  readonly handles: Set<Handle>
}

export class Subscriptions {
  readonly #environment: Environment
  readonly #up: SubscriptionsUpcalls
  readonly #held = new Map<string, Held>()
  /** Channels whose subscription the server still holds and nobody wants any more. */
  readonly #leaving = new Set<string>()
  /** Timers of subscriptions that are not answered yet. */
  readonly #unanswered = new Set<Cancel>()
  #flushing = false
  /** When the last answer to a subscription came. */
  #answeredAt = 0

  constructor(environment: Environment, up: SubscriptionsUpcalls) {
    this.#environment = environment
    this.#up = up
  }

  get(ch: string): Channel | null {
    return this.#held.get(ch)?.channel ?? null
  }

  open(handle: Handle, after: number | null): void {
    const { ch } = handle
    let held = this.#held.get(ch)
    if (!held) {
      const channel = new Channel(ch, this.#environment, {
        wanted: () => this.#flushSoon(),
        emit: (name, ...values) => this.emit(ch, name, ...values),
        parted: () => this.#up.parted(ch),
        fault: (what, detail) => this.#up.fault(what, detail),
      })
      this.#held.set(ch, (held = { channel, handles: new Set() }))
    }
    held.handles.add(handle)
    held.channel.open(after)
  }

  release(handle: Handle): void {
    const { ch } = handle
    const held = this.#held.get(ch)
    if (!held?.handles.delete(handle) || held.handles.size) return
    this.#held.delete(ch)
    if (held.channel.close()) {
      this.#leaving.add(ch)
      this.#flushSoon()
    }
    this.#up.parted(ch)
  }

  emit<Name extends keyof ChannelEvents>(ch: string, name: Name, ...values: ChannelEvents[Name]): void {
    for (const handle of [...(this.#held.get(ch)?.handles ?? [])]) handle.events.emit(name, ...values)
  }

  /** Says in few frames what has come together in one turn. */
  flush(): void {
    this.#flushing = false
    if (!this.#up.open()) return
    const leaving = [...this.#leaving]
    this.#leaving.clear()
    for (const channels of chunks(leaving)) this.#up.send({ t: 'unsubscribe', rid: this.#up.rid(), channels })
    const wanted = [...this.#held.values()].map((held) => held.channel).filter((channel) => channel.phase === 'wanted')
    for (const some of chunks(wanted)) {
      const rid = this.#up.rid()
      this.#up.send({ t: 'subscribe', rid, channels: some.map((channel) => channel.ask(rid)) })
      this.#answeredAt = this.#environment.now()
      this.#watch(some, rid)
    }
  }

  /** What was asked for was not heard: asks again. */
  repeat(): void {
    for (const { channel } of this.#held.values()) channel.unanswered()
  }

  /** The epoch has changed: numbers kept from before mean nothing. */
  renumbered(): void {
    for (const { channel } of this.#held.values()) channel.renumbered()
  }

  lost(): void {
    this.#leaving.clear()
    for (const cancel of this.#unanswered) cancel()
    this.#unanswered.clear()
    for (const { channel } of this.#held.values()) channel.lost()
  }

  /** Gives a channel its frame; `own` tells whether a position is the person's own. */
  receive(frame: ServerFrame, own: boolean): void {
    switch (frame.t) {
      case 'entry':
        return this.get(frame.ch)?.entry(frame.entry)
      case 'signal':
        return this.get(frame.ch)?.signalled(frame)
      case 'presence':
        return this.get(frame.ch)?.presence(frame)
      case 'position':
        return this.get(frame.ch)?.position(frame, own)
      case 'subscribed':
        this.#answeredAt = this.#environment.now()
        return this.get(frame.ch)?.subscribed(frame)
      case 'refused':
        this.#answeredAt = this.#environment.now()
        return this.get(frame.ch)?.refusedFor(frame.rid, frame.code)
      case 'dropped':
        return this.get(frame.ch)?.dropped(frame)
      default:
        // `unsubscribed` needs no answer, and a newer server may say what we do not know.
        return
    }
  }

  /** A whole `subscribe` was refused. */
  refused(frame: ErrorFrame): void {
    for (const { channel } of this.#held.values()) {
      channel.refusedFor(frame.rid ?? -1, frame.code, frame.retry_after ?? null)
    }
  }

  /** Asks again for what is not answered; not while answers still come, for many channels take their time. */
  #watch(channels: readonly Channel[], rid: number): void {
    const cancel = this.#environment.after(ANSWER_WITHIN, () => {
      this.#unanswered.delete(cancel)
      const open = channels.filter((channel) => channel.phase === 'asked' && channel.rid === rid)
      if (!open.length) return
      if (this.#environment.now() - this.#answeredAt < ANSWER_WITHIN) this.#watch(open, rid)
      else for (const channel of open) channel.unanswered(rid)
    })
    this.#unanswered.add(cancel)
  }

  #flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    this.#environment.soon(() => this.flush())
  }
}

function chunks<T>(all: readonly T[]): T[][] {
  const parts: T[][] = []
  for (let start = 0; start < all.length; start += MAX_CHANNELS_PER_FRAME) {
    parts.push(all.slice(start, start + MAX_CHANNELS_PER_FRAME))
  }
  return parts
}
