/** A world whose clock only moves when told, and the other end of every socket in it. */

import { Client } from '../src/client.js'
import type { ClientOptions } from '../src/client.js'
import { base64url } from '../src/environment.js'
import type { Environment, SocketLike } from '../src/environment.js'
import type { ClientFrame, Entry, ServerFrame, Subscribe } from '../src/generated/protocol.js'
import { memoryStorage } from '../src/storage.js'
import { loneTab } from '../src/tabs.js'

type Of<T extends ClientFrame['t']> = Extract<ClientFrame, { t: T }>

export const LIN = 'p_lin'
export const MEI = 'p_mei'
export const ROOM = 'conv:c_room'
export const INBOX = `inbox:${LIN}`

/** The server's end of one connection. */
export class Wire implements SocketLike {
  onopen: ((event: unknown) => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onerror: ((event: unknown) => void) | null = null
  onclose: ((event: { code: number; reason: string }) => void) | null = null
  /** All that the client has said. */
  readonly heard: ClientFrame[] = []
  /** The code with which the client closed; null while it has not. */
  left: number | null = null
  gone = false
  /** Called with each frame as it comes. */
  answer: (frame: ClientFrame) => void = () => undefined
  readonly url: string

  constructor(url: string) {
    this.url = url
  }

  send(text: string): void {
    if (this.gone || this.left !== null) return
    const frame = JSON.parse(text) as ClientFrame
    this.heard.push(frame)
    this.answer(frame)
  }

  close(code = 1005): void {
    this.left ??= code
  }

  accept(): void {
    this.onopen?.({})
  }

  say(...frames: (ServerFrame | Record<string, unknown>)[]): void {
    for (const frame of frames) this.raw(JSON.stringify(frame))
  }

  raw(data: unknown): void {
    if (!this.gone) this.onmessage?.({ data })
  }

  drop(code: number, reason = ''): void {
    this.gone = true
    this.onclose?.({ code, reason })
  }

  all<T extends ClientFrame['t']>(t: T): Of<T>[] {
    return this.heard.filter((frame): frame is Of<T> => frame.t === t)
  }

  last<T extends ClientFrame['t']>(t: T): Of<T> {
    const frame = this.all(t).at(-1)
    if (!frame) throw new Error(`the client has said no ${t}`)
    return frame
  }

  welcome(who = LIN, epoch = 'e1'): void {
    this.say({ t: 'welcome', v: 1, epoch, node: 'n1', who, kind: 'person', at: 0, ping_every: 25 })
  }

  /** Answers the subscription in which the channel was last asked for. */
  subscribed(ch: string, more: Partial<Extract<ServerFrame, { t: 'subscribed' }>> = {}): void {
    this.say({ t: 'subscribed', rid: this.asking(ch).rid, ch, head: 0, n: 0, write: true, signal: true, ...more })
  }

  asking(ch: string): Subscribe {
    const frame = this.all('subscribe').findLast((asked) => asked.channels.some((want) => want.ch === ch))
    if (!frame) throw new Error(`the client has not asked for ${ch}`)
    return frame
  }

  after(ch: string): number | null | undefined {
    return this.asking(ch).channels.find((want) => want.ch === ch)?.after
  }
}

interface Timer {
  at: number
  order: number
  run: () => void
}

/** Unique over all worlds, as random ids are. */
let ids = 0n

export class World {
  now = 1_000_000
  readonly wires: Wire[] = []
  readonly faults: unknown[] = []
  /** What `random()` answers. */
  luck = 0.5
  readonly environment: Environment
  #timers: Timer[] = []
  #order = 0

  constructor() {
    this.environment = {
      now: () => this.now,
      random: () => this.luck,
      after: (milliseconds, run) => {
        const timer = { at: this.now + milliseconds, order: (this.#order += 1), run }
        this.#timers.push(timer)
        return () => {
          this.#timers = this.#timers.filter((other) => other !== timer)
        }
      },
      soon: (run) => queueMicrotask(run),
      openSocket: (url) => {
        const wire = new Wire(url)
        this.wires.push(wire)
        return wire
      },
      newId: () => base64url(new Uint8Array(new BigUint64Array([7n, (ids += 1n)]).buffer)),
      report: (fault) => this.faults.push(fault),
    }
  }

  client(options: Partial<ClientOptions> = {}): Client {
    return new Client({
      url: 'ws://vouch.test/api/v1/socket',
      person: LIN,
      storage: memoryStorage(),
      tabs: loneTab(`tab ${(ids += 1n)}`),
      environment: this.environment,
      ...options,
    })
  }

  /** The newest connection. */
  get wire(): Wire {
    const wire = this.wires.at(-1)
    if (!wire) throw new Error('nobody has connected')
    return wire
  }

  get timers(): number {
    return this.#timers.length
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 40; turn += 1) await Promise.resolve()
  }

  /** Lets time pass; timers run at their moment and in order. */
  async pass(milliseconds: number): Promise<void> {
    await this.settle()
    const until = this.now + milliseconds
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= until)
      if (!due.length) break
      const next = due.reduce((a, b) => (b.at < a.at || (b.at === a.at && b.order < a.order) ? b : a))
      this.#timers = this.#timers.filter((timer) => timer !== next)
      this.now = Math.max(this.now, next.at)
      next.run()
      await this.settle()
    }
    this.now = until
  }

  /** Connects a client and signs it in. */
  async online(client: Client): Promise<Wire> {
    const before = this.wires.length
    client.connect()
    if (this.wires.length === before) await this.pass(20_000)
    const { wire } = this
    wire.accept()
    wire.welcome()
    await this.settle()
    return wire
  }

  /** After a loss: waits for the next connection and signs it in. */
  async again(): Promise<Wire> {
    const before = this.wires.length
    while (this.wires.length === before) await this.pass(100)
    const { wire } = this
    wire.accept()
    wire.welcome()
    await this.settle()
    return wire
  }
}

export function entry(seq: number, more: Partial<Entry> = {}): Entry {
  return { seq, n: seq, at: 5, by: MEI, id: `entry-number-${seq}-`, kind: 'message', body: { text: `no. ${seq}` }, ...more }
}

/** The pattern that the server demands of client ids. */
export const CLIENT_ID = /^[A-Za-z0-9_-]{16,64}$/
