/** The client: one connection, many channels, the outbox; routes what comes to whom it is for. */

import type { Channel } from './channel.js'
import { Connection } from './connection.js'
import { Emitter } from './emitter.js'
import type { Stop } from './emitter.js'
import type { Cancel, Environment } from './environment.js'
import { RealtimeError } from './faults.js'
import { VERSION } from './generated/protocol.js'
import type { Ack, Entry, ErrorFrame, Hello, ServerFrame, Welcome } from './generated/protocol.js'
import { Handle } from './handle.js'
import { Outbox } from './outbox.js'
import { Positions } from './positions.js'
import { Requests } from './requests.js'
import type { Storage } from './storage.js'
import { Subscriptions } from './subscriptions.js'
import type { Tabs } from './tabs.js'
import type {
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
/** Milliseconds of silence, beyond what the server asks for, after it has left out frames because there were too many. */
const UNHEARD_PAUSE = 1_000

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
  readonly #subscriptions: Subscriptions
  #rid = 0
  #inbox: ChannelHandle | null = null
  #adopting: Cancel | null = null
  #repeating: Cancel | null = null

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
      opened: () => this.#subscriptions.flush(),
      welcomed: (welcome) => this.#welcomed(welcome),
      frame: (frame) => this.#receive(frame),
      lost: () => this.#lost(),
      changed: (state, info) => this.#changed(state, info),
      fault,
    })
    const send = this.#connection.send.bind(this.#connection)
    this.#subscriptions = new Subscriptions(environment, {
      rid: () => this.#nextRid(),
      open: () => this.#connection.open,
      send,
      parted: (ch) => this.#outbox.parted(ch),
      fault,
    })
    this.#requests = new Requests(environment, send, () => this.#nextRid())
    this.#positions = new Positions(environment, send)
    this.#outbox = new Outbox(environment, options.storage, options.tabs, {
      send,
      changed: (ch) => this.#subscriptions.emit(ch, 'pending', this.#outbox.list(ch)),
      counted: (count) => this.#events.emit('pending', count),
      seen: (ch, seq) => this.held(ch)?.seen(seq) ?? true,
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

  hurry(): void {
    this.#positions.hurry()
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
    return this.#subscriptions.get(ch)
  }

  pendingOf(ch: string): readonly Pending[] {
    return this.#outbox.list(ch)
  }

  open(handle: Handle, options: OpenOptions): void {
    this.#subscriptions.open(handle, options.after ?? null)
  }

  release(handle: Handle): void {
    this.#subscriptions.release(handle)
  }

  async history(ch: string, range: HistoryRange): Promise<HistoryPage> {
    const { signal, ...rest } = range
    const page = await this.#requests.history({ t: 'history', ch, ...rest }, signal)
    for (const entry of page.entries) this.#arrived(ch, entry, true)
    return { ...page, modifiers: page.modifiers ?? [] }
  }

  send(ch: string, kind: string, body: object, ref: number | null, id?: string): Pending {
    return this.#outbox.add(ch, kind, body, ref, { id })
  }

  append(ch: string, kind: string, body: object, ref: number | null, id?: string): Promise<Ack> {
    return new Promise((resolve, reject) => {
      this.#outbox.add(ch, kind, body, ref, { id, waiter: { resolve, reject } })
    })
  }

  signal(ch: string, kind: string, body: object): void {
    const channel = this.held(ch)
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
    if (this.epoch !== null && this.epoch !== welcome.epoch) {
      this.#subscriptions.renumbered()
      this.#positions.clear()
      this.#outbox.renumbered()
    }
    this.epoch = welcome.epoch
    this.#openInbox(welcome.who)
    return undefined
  }

  #lost(): void {
    this.#repeating?.()
    this.#repeating = null
    this.#subscriptions.lost()
    this.#requests.lost()
    this.#positions.lost()
    this.#outbox.lost()
  }

  #changed(state: State, info: StateInfo): void {
    if (state === 'online') {
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
    let own = false
    switch (frame.t) {
      case 'ack':
        return this.#outbox.acknowledged(frame)
      case 'page':
        return this.#requests.page(frame.rid, frame.page)
      case 'error':
        return this.#refused(frame)
      case 'entry':
        this.#arrived(frame.ch, frame.entry, this.held(frame.ch)?.next(frame.entry.seq) ?? true)
        break
      case 'position':
        own = frame.by === this.who
        if (own) this.#positions.confirmed(frame.ch, frame)
        break
      case 'subscribed':
        this.#positions.confirmed(frame.ch, { read: frame.read ?? 0, delivered: frame.delivered ?? 0 })
        break
      default:
        break
    }
    this.#subscriptions.receive(frame, own)
  }

  #refused(frame: ErrorFrame): void {
    if (this.#requests.refused(frame) || this.#outbox.refused(frame)) return
    if (frame.rid != null) {
      this.#subscriptions.refused(frame)
    } else if (frame.ch != null) {
      this.#positions.refused(frame.ch)
    } else if (frame.code === 'too_often') {
      this.#unheard((frame.retry_after ?? 0) * 1000)
    }
    this.#events.emit('fault', 'refused', RealtimeError.from(frame))
  }

  /** We spoke too fast, and the server did not even look which frame it left out: all that is unanswered is asked again. */
  #unheard(milliseconds: number): void {
    if (this.#repeating) return
    this.#repeating = this.#environment.after(milliseconds + UNHEARD_PAUSE, () => {
      this.#repeating = null
      this.#subscriptions.repeat()
      this.#positions.lost()
      this.#positions.online()
      this.#outbox.repeat()
      this.#requests.repeat()
    })
  }

  /** Before anybody hears of an own entry it leaves the outbox, so that no reader sees it twice or not at all. */
  #arrived(ch: string, entry: Entry, now: boolean): void {
    if (entry.by === this.who) this.#outbox.arrived(ch, entry, now)
  }

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

  #nextRid(): number {
    this.#rid += 1
    return this.#rid
  }
}
