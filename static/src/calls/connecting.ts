/** Keeps one connection of media up: sets it up, watches over it, and sets it up anew when it falls, waiting longer each time. */

/** Milliseconds between tries; the last one again and again. */
const WAITS = [0, 500, 1_000, 2_000, 4_000] as const
/** A line may be silent for so long before it is given up. */
const PATIENCE = 2_500
/** After so many tries in vain somebody is told. */
const TELL = 3

export interface Link {
  readonly connection: RTCPeerConnection
  offer(): Promise<string>
  answer(sdp: string): Promise<void>
  close(): void
}

export interface Wiring<L extends Link> {
  make(): Promise<L>
  /** The server's answer to an offer, and the connection's id there. Throws for what a later try may heal, or after calling `stop` itself. */
  connect(offer: string): Promise<{ id: string; answer: string }>
  /** It is set up: what flows through it is told here. */
  up(link: L, id: string): Promise<void>
  state(state: LinkState): void
}

export type LinkState = 'connecting' | 'live' | 'lost' | 'failed'

export class Connecting<L extends Link> {
  readonly #wiring: Wiring<L>
  #link: L | null = null
  #id = ''
  #turn = 0
  #tries = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #wake: (() => void) | null = null
  #over = false

  constructor(wiring: Wiring<L>) {
    this.#wiring = wiring
  }

  get link(): L | null {
    return this.#link
  }

  get id(): string {
    return this.#id
  }

  /** Begins, or begins anew at once. */
  begin(): void {
    this.#tries = 0
    this.#wake?.()
    void this.#run(++this.#turn)
  }

  async #run(mine: number): Promise<void> {
    const current = (): boolean => mine === this.#turn && !this.#over
    while (current()) {
      this.#wiring.state(this.#tries === 0 ? 'connecting' : this.#tries > TELL ? 'failed' : 'lost')
      await this.#rest(WAITS[Math.min(this.#tries, WAITS.length - 1)] ?? 0)
      if (!current()) return
      this.#tries += 1
      this.#drop()
      let link: L | null = null
      try {
        link = await this.#wiring.make()
        const { id, answer } = await this.#wiring.connect(await link.offer())
        if (!current()) {
          link.close()
          return
        }
        this.#link = link
        this.#id = id
        await link.answer(answer)
        await this.#wiring.up(link, id)
        await this.#risen(link.connection)
        if (!current()) return
        this.#tries = 0
        this.#wiring.state('live')
        await this.#fallen(link.connection)
        if (!current()) return
        this.#tries = 1
      } catch {
        if (link !== this.#link) link?.close()
      }
    }
  }

  #rest(wait: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      this.#timer = setTimeout(resolve, wait)
    })
  }

  /** Connected, or it never will be. */
  #risen(connection: RTCPeerConnection): Promise<void> {
    return new Promise((resolve, reject) => {
      const give = setTimeout(() => reject(new Error('no connection')), 10_000)
      const look = (): void => {
        const { connectionState } = connection
        if (connectionState === 'connected') resolve()
        else if (connectionState === 'failed' || connectionState === 'closed') reject(new Error(connectionState))
        else return
        clearTimeout(give)
        connection.removeEventListener('connectionstatechange', look)
      }
      connection.addEventListener('connectionstatechange', look)
      look()
    })
  }

  /** Resolves when it has been gone for longer than a blink. */
  #fallen(connection: RTCPeerConnection): Promise<void> {
    return new Promise((resolve) => {
      let patience: ReturnType<typeof setTimeout> | undefined
      const look = (): void => {
        clearTimeout(patience)
        const { connectionState } = connection
        if (connectionState === 'disconnected') {
          this.#wiring.state('lost')
          patience = setTimeout(resolve, PATIENCE)
        } else if (connectionState === 'connected') this.#wiring.state('live')
        else if (connectionState === 'failed' || connectionState === 'closed') resolve()
      }
      connection.addEventListener('connectionstatechange', look)
      look()
    })
  }

  #drop(): void {
    this.#link?.close()
    this.#link = null
    this.#id = ''
  }

  close(): void {
    this.#over = true
    this.#turn += 1
    clearTimeout(this.#timer)
    this.#wake?.()
    this.#drop()
  }
}
