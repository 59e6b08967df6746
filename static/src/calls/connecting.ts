/** Keeps one connection of media up: sets it up, watches over it, and sets it up anew when it falls, waiting longer each time. */

import { systemClock, type Clock } from './clock'

/** Milliseconds between tries, half of it at random; the last one again and again. The first try after a fall is made at once. */
const WAITS = [0, 500, 1_000, 2_000, 4_000] as const
/** A line may be silent for so long before it is given up. */
const PATIENCE = 2_500
/** A connection that is not there after so long never will be: the first ones are given up sooner. */
const RISING = [4_000, 6_000, 10_000] as const
/** What has lived for less long than this has not really been up. */
const FLAPS = 5_000
/** After so many tries in vain somebody is told. */
const TELL = 3

/** What is looked at of a peer connection. */
export type Line = Pick<RTCPeerConnection, 'connectionState' | 'addEventListener' | 'removeEventListener'>

export interface Link {
  readonly connection: Line
  offer(): Promise<string>
  answer(sdp: string): Promise<void>
  close(): void
}

export interface Wiring<L extends Link> {
  make(): Promise<L>
  /** The server's answer to an offer, and the connection's id there. Throws for what a later try may heal, or after calling `close` itself. */
  connect(offer: string): Promise<{ id: string; answer: string }>
  /** It is set up: what flows through it is told here. */
  up(link: L, id: string): Promise<void>
  state(state: LinkState): void
}

/** `failed`: it is still tried, but somebody may be told that it does not go. */
export type LinkState = 'connecting' | 'live' | 'lost' | 'failed'

/** How long to wait before a try, milliseconds. `tries` were in vain; `asked`: seconds that the server wants. Pure. */
export function waitBefore(tries: number, asked: number | null, chance: number): number {
  const most = WAITS[Math.min(tries, WAITS.length - 1)] ?? 0
  return Math.max(most / 2 + (most / 2) * chance, (asked ?? 0) * 1_000)
}

function retryAfter(error: unknown): number | null {
  const seconds: unknown = error !== null && typeof error === 'object' ? Reflect.get(error, 'retryAfter') : null
  return typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, 60) : null
}

export class Connecting<L extends Link> {
  readonly #wiring: Wiring<L>
  readonly #clock: Clock
  #link: L | null = null
  #id = ''
  #turn = 0
  #tries = 0
  #asked: number | null = null
  /** Ends the present rest, if there is one. */
  #wake: (() => void) | null = null
  /** Ends what watches over the present connection. */
  #unwatch: (() => void) | null = null
  #over = false

  constructor(wiring: Wiring<L>, clock: Clock = systemClock) {
    this.#wiring = wiring
    this.#clock = clock
  }

  get link(): L | null {
    return this.#link
  }

  get id(): string {
    return this.#id
  }

  /** Begins, or begins anew at once. */
  begin(): void {
    if (this.#over) return
    this.#tries = 0
    this.#asked = null
    const mine = ++this.#turn
    this.#wake?.()
    this.#unwatch?.()
    void this.#run(mine)
  }

  /** The network is back: the next try is made now. What is under way goes on. */
  hurry(): void {
    if (this.#asked === null) this.#wake?.()
  }

  async #run(mine: number): Promise<void> {
    const current = (): boolean => mine === this.#turn && !this.#over
    while (current()) {
      this.#wiring.state(this.#tries === 0 ? 'connecting' : this.#tries > TELL ? 'failed' : 'lost')
      await this.#rest(waitBefore(this.#tries, this.#asked, this.#clock.random()))
      if (!current()) return
      const patience = RISING[Math.min(this.#tries, RISING.length - 1)] ?? 0
      this.#tries += 1
      this.#asked = null
      this.#drop()
      let link: L | null = null
      try {
        link = await this.#wiring.make()
        const offer = await link.offer()
        const made = current() ? await this.#wiring.connect(offer) : null
        if (made === null || !current()) {
          link.close()
          return
        }
        const { id, answer } = made
        this.#link = link
        this.#id = id
        await link.answer(answer)
        await this.#wiring.up(link, id)
        if (!current() || !(await this.#risen(link.connection, patience)) || !current()) continue
        const [since, before] = [this.#clock.now(), this.#tries]
        this.#wiring.state('live')
        await this.#fallen(link.connection, current)
        // What falls as soon as it is up is not tried again without end at once.
        if (current()) this.#tries = this.#clock.now() - since < FLAPS ? before : 0
      } catch (error) {
        this.#asked = retryAfter(error)
        if (link !== this.#link) link?.close()
      }
    }
  }

  #rest(wait: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(wait, () => wake())
      const wake = (): void => {
        cancel()
        if (this.#wake === wake) this.#wake = null
        resolve()
      }
      this.#wake = wake
    })
  }

  /** Calls `look` with each state of the connection until `look` is done with it, or nobody cares any more. */
  #watch<T>(connection: Line, look: (state: RTCPeerConnectionState, done: (value: T) => void) => void, otherwise: T): Promise<T> {
    return new Promise((resolve) => {
      const done = (value: T): void => {
        connection.removeEventListener('connectionstatechange', changed)
        if (this.#unwatch === end) this.#unwatch = null
        resolve(value)
      }
      const end = (): void => done(otherwise)
      const changed = (): void => look(connection.connectionState, done)
      this.#unwatch = end
      connection.addEventListener('connectionstatechange', changed)
      changed()
    })
  }

  /** Connected, or it never will be. */
  async #risen(connection: Line, patience: number): Promise<boolean> {
    let cancel = (): void => undefined
    const risen = this.#watch<boolean>(
      connection,
      (state, done) => {
        if (state === 'connected') done(true)
        else if (state === 'failed' || state === 'closed') done(false)
      },
      false,
    )
    cancel = this.#clock.after(patience, () => this.#unwatch?.())
    const well = await risen
    cancel()
    return well
  }

  /** Resolves when it has been gone for longer than a blink. */
  async #fallen(connection: Line, current: () => boolean): Promise<void> {
    let cancel = (): void => undefined
    await this.#watch<void>(
      connection,
      (state, done) => {
        cancel()
        if (state === 'connected') this.#wiring.state('live')
        else if (state === 'failed' || state === 'closed') done()
        else if (current()) {
          this.#wiring.state('lost')
          cancel = this.#clock.after(PATIENCE, () => done())
        }
      },
      undefined,
    )
    cancel()
    if (current()) this.#wiring.state('lost')
  }

  #drop(): void {
    this.#link?.close()
    this.#link = null
    this.#id = ''
  }

  close(): void {
    this.#over = true
    this.#turn += 1
    this.#wake?.()
    this.#unwatch?.()
    this.#drop()
  }
}
