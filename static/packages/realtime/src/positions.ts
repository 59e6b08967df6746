/** The person's own positions on their way to the server: only the furthest counts, so few frames are enough. */

import type { Cancel, Environment } from './environment.js'
import type { ClientFrame } from './generated/protocol.js'

/** Milliseconds within which moves of one channel become one frame. */
export const GATHER = 250

interface Place {
  read: number
  delivered: number
}

interface Moving extends Place {
  /** What this connection has been told. */
  told: Place
  cancel: Cancel | null
}

export class Positions {
  readonly #environment: Environment
  readonly #send: (frame: ClientFrame) => void
  readonly #moving = new Map<string, Moving>()
  #online = false

  constructor(environment: Environment, send: (frame: ClientFrame) => void) {
    this.#environment = environment
    this.#send = send
  }

  /** Kept until the server is known to have it: a frame may be lost with its connection. */
  move(ch: string, place: Partial<Place>): void {
    const moving = this.#moving.get(ch) ?? { read: 0, delivered: 0, told: { read: 0, delivered: 0 }, cancel: null }
    moving.read = Math.max(moving.read, place.read ?? 0)
    moving.delivered = Math.max(moving.delivered, place.delivered ?? 0)
    this.#moving.set(ch, moving)
    if (this.#online && !moving.cancel) this.#tell(ch, moving)
  }

  /** The server's own word. What it has need not be told again. */
  confirmed(ch: string, place: Place): void {
    const moving = this.#moving.get(ch)
    if (!moving || place.read < moving.read || place.delivered < moving.delivered) return
    this.#forget(ch, moving)
  }

  /** The server will not take it: do not try on every connection. */
  refused(ch: string): void {
    const moving = this.#moving.get(ch)
    if (moving) this.#forget(ch, moving)
  }

  online(): void {
    this.#online = true
    for (const [ch, moving] of [...this.#moving]) this.#tell(ch, moving)
  }

  lost(): void {
    this.#online = false
    for (const moving of this.#moving.values()) {
      moving.cancel?.()
      moving.cancel = null
      moving.told = { read: 0, delivered: 0 }
    }
  }

  clear(): void {
    for (const [ch, moving] of [...this.#moving]) this.#forget(ch, moving)
  }

  #tell(ch: string, moving: Moving): void {
    const { read, delivered, told } = moving
    if (read <= told.read && delivered <= told.delivered) return
    this.#send({
      t: 'position',
      ch,
      ...(read > told.read ? { read } : {}),
      ...(delivered > told.delivered ? { delivered } : {}),
    })
    moving.told = { read, delivered }
    moving.cancel = this.#environment.after(GATHER, () => {
      moving.cancel = null
      this.#tell(ch, moving)
    })
  }

  #forget(ch: string, moving: Moving): void {
    moving.cancel?.()
    this.#moving.delete(ch)
  }
}
