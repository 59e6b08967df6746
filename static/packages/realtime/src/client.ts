/** The client: one connection, many channels, the outbox; routes what comes to whom it is for. */

import { Channel } from './channel.js'
import { Connection } from './connection.js'
import { Emitter } from './emitter.js'
import type { Stop } from './emitter.js'
import type { Cancel, Environment } from './environment.js'
import { RealtimeError } from './faults.js'
import { MAX_CHANNELS_PER_FRAME, VERSION } from './generated/protocol.js'
import type { Ack, Entry, ErrorFrame, Hello, ServerFrame, Welcome } from './generated/protocol.js'
import { Handle } from './handle.js'
import { Outbox } from './outbox.js'
import { Positions } from './positions.js'
import { ANSWER_WITHIN, Requests } from './requests.js'
import type { Storage } from './storage.js'
import type { Tabs } from './tabs.js'
import type {
  ChannelEvents,
  ChannelHandle,
  HistoryPage,
  HistoryRange,
  OpenOptions,
  Pending,
  Realtime,
  RealtimeEvents,
  ResetReason,
  State,
  StateInfo,
} from './types.js'

/** Milliseconds between looks for what dead tabs of the same person have left behind. */
const ADOPT_EVERY = 30_000

export interface ClientOptions {
  /** ws:// or wss:// address of the server's socket. */
  url: string
  /** The person's id: whose inbox is read, and who alone may send what is stored. Programs may leave it out. */
  person?: string | undefined
  /** A program's bearer token. Browsers are known by their cookie. */
  token?: string | undefined
  /** The last known epoch, for programs that go on after a restart from numbers they have kept. */
  epoch?: string | undefined
  storage: Storage
  tabs: Tabs
  environment: Environment
}

interface Held {
  readonly channel: Channel
  /** Open handles; the channel is subscribed while there are any. */
  readonly handles: Set<Handle>
}

export class Client implements Realtime {
  who: string | null
  epoch: string | null

  readonly #environment: Environment
  readonly #token: string | null
  readonly #tabs: Tabs
  readonly #events: Emitter<RealtimeEvents>
  readonly #connection: Connection
  readonly #requests: Requests
  readonly #positions: Positions
  readonly #outbox: Outbox
  readonly #held = new Map<string, Held>()
  /** Channels whose subscription the server still holds and nobody wants any more. */
  readonly #leaving = new Set<string>()
  /** Timers of subscriptions that are not answered yet. */
  readonly #unanswered = new Set<Cancel>()
  #flushing = false
  #rid = 0
  #inbox: ChannelHandle | null = null
  #adopting: Cancel | null = null

  constructor(options: ClientOptions) {
    const { environment } = options
    this.#environment = environment
    this.#token = options.token ?? null
    this.#tabs = options.tabs
    this.who = options.person ?? null
    this.epoch = options.epoch ?? null
    this.#events = new Emitter(environment.report)
    const fault = (what: string, detail: unknown): void => this.#events.emit('fault', what, detail)
    this.#connection = new Connection(environment, options.url, {
      rid: () => this.#nextRid(),
      hello: () => this.#hello(),
      opened: () => this.#flush(),
      welcomed: (welcome) => this.#welcomed(welcome),
      frame: (frame) => this.#receive(frame),
      lost: () => this.#lost(),
      changed: (state, info) => this.#changed(state, info),
      fault,
    })
    const send = this.#connection.send.bind(this.#connection)
    this.#requests = new Requests(environment, send, () => this.#nextRid())
    this.#positions = new Positions(environment, send)
    this.#outbox = new Outbox(environment, options.storage, options.tabs, {
      send,
      changed: (ch) => this.#emit(ch, 'pending', this.#outbox.list(ch)),
      counted: (count) => this.#events.emit('pending', count),
      seen: (ch, seq) => {
        const channel = this.#held.get(ch)?.channel
        return channel?.phase !== 'live' || (channel.last ?? 0) >= seq
      },
      fault,
    })
    void this.#outbox.restore()
  }

  get state(): State {
    return this.#connection.state
  }

  get stateInfo(): StateInfo {
    return this.#connection.info
  }

  get pendingCount(): number {
    return this.#outbox.count
  }

  connect(): void {
    if (this.who !== null) this.#openInbox(this.who)
    this.#connection.connect()
  }

  close(): void {
    this.#connection.close()
  }

  async forget(): Promise<void> {
    this.close()
    this.#positions.clear()
    await this.#outbox.erase()
    this.#tabs.close()
  }

  wake(): void {
    this.#connection.wake()
    void this.#outbox.restore()
  }

  on<Name extends keyof RealtimeEvents>(name: Name, listener: (...values: RealtimeEvents[Name]) => void): Stop {
    return this.#events.on(name, listener)
  }

  channel(ch: string): ChannelHandle {
    return new Handle(ch, this, this.#environment.report)
  }

  pending(): readonly Pending[] {
    return this.#outbox.all()
  }

  retry(id: string): boolean {
    return this.#outbox.retry(id)
  }

  discard(id: string): boolean {
    return this.#outbox.discard(id)
  }

  // ── For handles ───────────────────────────────────────────────────────────────────────────────────────────────────

  held(ch: string): Channel | null {
    return this.#held.get(ch)?.channel ?? null
  }

  pendingOf(ch: string): readonly Pending[] {
    return this.#outbox.list(ch)
  }

  open(handle: Handle, options: OpenOptions): void {
    const { ch } = handle
    let held = this.#held.get(ch)
    if (!held) {
      const channel = new Channel(ch, this.#environment, {
        wanted: () => this.#flushSoon(),
        emit: (name, ...values) => this.#emitted(ch, name, values),
        passed: (seq) => this.#outbox.passed(ch, seq),
        fault: (what, detail) => this.#events.emit('fault', what, detail),
      })
      this.#held.set(ch, (held = { channel, handles: new Set() }))
    }
    held.handles.add(handle)
    held.channel.open(options.after ?? null)
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
    this.#outbox.passed(ch, Infinity)
  }

  async history(ch: string, range: HistoryRange): Promise<HistoryPage> {
    const { signal, ...rest } = range
    const page = await this.#requests.history({ t: 'history', ch, ...rest }, signal)
    for (const entry of page.entries) this.#arrived(ch, entry)
    return { ...page, modifiers: page.modifiers ?? [] }
  }

  send(ch: string, kind: string, body: object, ref: number | null): Pending {
    return this.#outbox.add(ch, kind, body, ref)
  }

  append(ch: string, kind: string, body: object, ref: number | null): Promise<Ack> {
    return new Promise((resolve, reject) => {
      this.#outbox.add(ch, kind, body, ref, { resolve, reject })
    })
  }

  signal(ch: string, kind: string, body: object): void {
    const channel = this.#held.get(ch)?.channel
    if (this.state !== 'online' || channel?.phase !== 'live' || !channel.info?.signal) return
    this.#connection.send({ t: 'signal', ch, kind, body })
  }

  position(ch: string, place: { read?: number; delivered?: number }): void {
    const info = this.held(ch)?.info
    if (info && (place.read ?? 0) <= info.read && (place.delivered ?? 0) <= info.delivered) return
    this.#positions.move(ch, place)
  }

  // ── The connection's news ─────────────────────────────────────────────────────────────────────────────────────────

  #hello(): Hello {
    return {
      t: 'hello',
      v: VERSION,
      ...(this.#token === null ? {} : { token: this.#token }),
      ...(this.epoch === null ? {} : { epoch: this.epoch }),
    }
  }

  #welcomed(welcome: Welcome): string | undefined {
    // The browser's cookie may belong to somebody else by now: nothing of this person may be sent under that name.
    if (this.who !== null && this.who !== welcome.who) return 'Somebody else has signed in.'
    this.who = welcome.who
    this.epoch = welcome.epoch
    this.#openInbox(welcome.who)
    return undefined
  }

  #lost(): void {
    this.#leaving.clear()
    for (const cancel of this.#unanswered) cancel()
    this.#unanswered.clear()
    for (const { channel } of this.#held.values()) channel.lost()
    this.#requests.lost()
    this.#positions.lost()
    this.#outbox.lost()
  }

  #changed(state: State, info: StateInfo): void {
    if (state === 'online') {
      this.#flush()
      this.#positions.online()
      this.#outbox.online()
      this.#requests.online()
      this.#adoptLater()
    }
    if (state === 'ended' || state === 'idle') {
      this.#adopting?.()
      this.#adopting = null
      this.#requests.end()
      this.#outbox.end()
    }
    this.#events.emit('state', state, info)
  }

  #adoptLater(): void {
    this.#adopting?.()
    this.#adopting = this.#environment.after(ADOPT_EVERY, () => {
      void this.#outbox.restore()
      this.#adoptLater()
    })
  }

  #receive(frame: ServerFrame): void {
    switch (frame.t) {
      case 'entry':
        this.#arrived(frame.ch, frame.entry)
        this.held(frame.ch)?.entry(frame.entry)
        return
      case 'ack':
        this.#outbox.acknowledged(frame)
        return
      case 'signal':
        this.held(frame.ch)?.signalled(frame)
        return
      case 'presence':
        this.held(frame.ch)?.presence(frame)
        return
      case 'position': {
        const own = frame.by === this.who
        if (own) this.#positions.confirmed(frame.ch, frame)
        this.held(frame.ch)?.position(frame, own)
        return
      }
      case 'subscribed':
        this.#positions.confirmed(frame.ch, { read: frame.read ?? 0, delivered: frame.delivered ?? 0 })
        this.held(frame.ch)?.subscribed(frame)
        return
      case 'refused': {
        const channel = this.held(frame.ch)
        if (channel?.phase === 'asked' && channel.rid === frame.rid) channel.refused(frame.code)
        return
      }
      case 'page':
        this.#requests.page(frame.rid, frame.page)
        return
      case 'dropped':
        this.held(frame.ch)?.dropped(frame)
        return
      case 'error':
        this.#refused(frame)
        return
      default:
        // `unsubscribed` needs no answer, and a newer server may say what we do not know.
        return
    }
  }

  #refused(frame: ErrorFrame): void {
    if (this.#requests.refused(frame) || this.#outbox.refused(frame)) return
    if (frame.rid != null) {
      for (const { channel } of this.#held.values()) {
        if (channel.phase === 'asked' && channel.rid === frame.rid) channel.refused(frame.code, frame.retry_after ?? null)
      }
    } else if (frame.ch != null) {
      this.#positions.refused(frame.ch)
    }
    this.#events.emit('fault', 'refused', RealtimeError.from(frame))
  }

  /** Before anybody hears of an own entry it leaves the outbox, so that no reader sees it twice or not at all. */
  #arrived(ch: string, entry: Entry): void {
    if (entry.by === this.who) this.#outbox.arrived(ch, entry)
  }

  // ── Subscribing ───────────────────────────────────────────────────────────────────────────────────────────────────

  #openInbox(person: string): void {
    if (this.#inbox) return
    const inbox = this.channel(`inbox:${person}`)
    let started = false
    inbox.on('entry', (entry) => this.#events.emit('inbox', entry))
    inbox.on('reset', (reason: ResetReason) => this.#events.emit('stale', reason))
    inbox.on('info', () => {
      if (!started) this.#events.emit('stale', 'start')
      started = true
    })
    this.#inbox = inbox.open()
  }

  #flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    this.#environment.soon(() => this.#flush())
  }

  /** Says in few frames what has come together in one turn. */
  #flush(): void {
    this.#flushing = false
    if (!this.#connection.open) return
    const leaving = [...this.#leaving]
    this.#leaving.clear()
    for (const channels of chunks(leaving)) this.#connection.send({ t: 'unsubscribe', rid: this.#nextRid(), channels })
    const wanted = [...this.#held.values()].filter(({ channel }) => channel.phase === 'wanted')
    for (const some of chunks(wanted)) {
      const rid = this.#nextRid()
      this.#connection.send({ t: 'subscribe', rid, channels: some.map(({ channel }) => channel.ask(rid)) })
      const cancel = this.#environment.after(ANSWER_WITHIN, () => {
        this.#unanswered.delete(cancel)
        for (const { channel } of some) channel.unanswered(rid)
      })
      this.#unanswered.add(cancel)
    }
  }

  #emitted<Name extends keyof ChannelEvents>(ch: string, name: Name, values: ChannelEvents[Name]): void {
    this.#emit(ch, name, ...values)
  }

  #emit<Name extends keyof ChannelEvents>(ch: string, name: Name, ...values: ChannelEvents[Name]): void {
    for (const handle of [...(this.#held.get(ch)?.handles ?? [])]) handle.events.emit(name, ...values)
  }

  #nextRid(): number {
    this.#rid += 1
    return this.#rid
  }
}

function chunks<T>(all: readonly T[]): T[][] {
  const parts: T[][] = []
  for (let start = 0; start < all.length; start += MAX_CHANNELS_PER_FRAME) {
    parts.push(all.slice(start, start + MAX_CHANNELS_PER_FRAME))
  }
  return parts
}
