/** The person's own positions on their way to the server: only the furthest counts, so few frames are enough. */

import type { Cancel, Environment } from './environment.js'
import type { ClientFrame } from './generated/protocol.js'

/** Milliseconds within which the moves of a channel become one frame. */
export const GATHER = 250
/** Channels told about per GATHER: stays well below the rate at which the server stops listening. */
export const AT_ONCE = 8
/** As AT_ONCE, when there will be no later. */
const IN_A_HURRY = 100

interface Place {
  read: number
  delivered: number
}

interface Moving extends Place {
  /** What this connection has been told. */
  told: Place
}

const NOWHERE: Place = { read: 0, delivered: 0 }

export class Positions {
  readonly #environment: Environment
  readonly #send: (frame: ClientFrame) => void
  readonly #moving = new Map<string, Moving>()
  /** Channels about which there is something to tell, the longest waiting first. */
  readonly #waiting = new Set<string>()
  #online = false
  #pause: Cancel | null = null

  constructor(environment: Environment, send: (frame: ClientFrame) => void) {
    this.#environment = environment
    this.#send = send
  }

  /** Kept until the server is known to have it: a frame may be lost with its connection. */
  move(ch: string, place: Partial<Place>): void {
    const known = this.#moving.get(ch) ?? { ...NOWHERE, told: NOWHERE }
    const read = Math.max(known.read, place.read ?? 0)
    const delivered = Math.max(known.delivered, place.delivered ?? 0)
    if (read === known.read && delivered === known.delivered) return
    this.#moving.set(ch, { read, delivered, told: known.told })
    this.#waiting.add(ch)
    this.#flush()
  }

  /** The server's own word. What it has need not be told again. */
  confirmed(ch: string, place: Place): void {
    const moving = this.#moving.get(ch)
    if (moving && place.read >= moving.read && place.delivered >= moving.delivered) this.refused(ch)
  }

  /** The server will not take it, or has it: nothing is told about this channel any more. */
  refused(ch: string): void {
    this.#moving.delete(ch)
    this.#waiting.delete(ch)
  }

  online(): void {
    this.#online = true
    this.#flush()
  }

  /** The page may be gone in a moment: tells what waits without gathering any longer. */
  hurry(): void {
    if (!this.#online) return
    for (const ch of [...this.#waiting].slice(0, IN_A_HURRY)) {
      this.#waiting.delete(ch)
      this.#tell(ch)
    }
  }

  /** What was told may not have arrived: all that is not confirmed is told again. */
  lost(): void {
    this.#online = false
    this.#pause?.()
    this.#pause = null
    for (const [ch, moving] of this.#moving) {
      moving.told = NOWHERE
      this.#waiting.add(ch)
    }
  }

  /** Nothing that was to be told holds any more. */
  clear(): void {
    this.#moving.clear()
    this.#waiting.clear()
  }

  #flush(): void {
    if (!this.#online || this.#pause || !this.#waiting.size) return
    for (const ch of [...this.#waiting].slice(0, AT_ONCE)) {
      this.#waiting.delete(ch)
      this.#tell(ch)
    }
    this.#pause = this.#environment.after(GATHER, () => {
      this.#pause = null
      this.#flush()
    })
  }

  #tell(ch: string): void {
    const moving = this.#moving.get(ch)
    if (!moving) return
    const { read, delivered, told } = moving
    moving.told = { read, delivered }
    this.#send({
      t: 'position',
      ch,
      ...(read > told.read ? { read } : {}),
      ...(delivered > told.delivered ? { delivered } : {}),
    })
  }
}
