import { Emitter } from './emitter.js'
import type { Stop } from './emitter.js'
import type { Channel } from './channel.js'
import type { Ack } from './generated/protocol.js'
import type {
  ChannelEvents,
  ChannelHandle,
  ChannelInfo,
  HistoryPage,
  HistoryRange,
  OpenOptions,
  Pending,
} from './types.js'

/** What a handle asks of the client. */
export interface Owner {
  held(ch: string): Channel | null
  pendingOf(ch: string): readonly Pending[]
  open(handle: Handle, options: OpenOptions): void
  release(handle: Handle): void
  history(ch: string, range: HistoryRange): Promise<HistoryPage>
  send(ch: string, kind: string, body: object, ref: number | null, id?: string): Pending
  append(ch: string, kind: string, body: object, ref: number | null, id?: string): Promise<Ack>
  signal(ch: string, kind: string, body: object): void
  position(ch: string, place: { read?: number; delivered?: number }): void
}

const NOBODY: ReadonlySet<string> = new Set()

/** One holder's view of a channel: listeners of its own, everything else is the client's. */
export class Handle implements ChannelHandle {
  readonly ch: string
  readonly events: Emitter<ChannelEvents>
  readonly #owner: Owner

  constructor(ch: string, owner: Owner, report: (fault: unknown) => void) {
    this.ch = ch
    this.#owner = owner
    this.events = new Emitter(report)
  }

  get info(): ChannelInfo | null {
    return this.#owner.held(this.ch)?.info ?? null
  }

  get online(): ReadonlySet<string> {
    return this.#owner.held(this.ch)?.online ?? NOBODY
  }

  get pending(): readonly Pending[] {
    return this.#owner.pendingOf(this.ch)
  }

  open(options: OpenOptions = {}): this {
    this.#owner.open(this, options)
    return this
  }

  release(): void {
    this.#owner.release(this)
  }

  on<Name extends keyof ChannelEvents>(name: Name, listener: (...values: ChannelEvents[Name]) => void): Stop {
    return this.events.on(name, listener)
  }

  history(range: HistoryRange = {}): Promise<HistoryPage> {
    return this.#owner.history(this.ch, range)
  }

  send(kind: string, body: object, ref: number | null = null, id?: string): Pending {
    return this.#owner.send(this.ch, kind, body, ref, id)
  }

  append(kind: string, body: object, ref: number | null = null, id?: string): Promise<Ack> {
    return this.#owner.append(this.ch, kind, body, ref, id)
  }

  signal(kind: string, body: object): void {
    this.#owner.signal(this.ch, kind, body)
  }

  position(position: { read?: number; delivered?: number }): void {
    this.#owner.position(this.ch, position)
  }
}
