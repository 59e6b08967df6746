/**
 * One connection that is always wanted: opens, says hello, notices death, backs off, comes back.
 * Knows nothing of channels; frames go up and down as they are.
 */

import { delayAfter, fateOf, nextAttempt } from './backoff.js'
import type { Cancel, Environment, SocketLike } from './environment.js'
import { CLOSE } from './generated/protocol.js'
import type { Bye, ClientFrame, Hello, ServerFrame, Welcome } from './generated/protocol.js'
import type { State, StateInfo } from './types.js'

/** Milliseconds from the attempt to `welcome`. */
export const CONNECT_WITHIN = 15_000
/** Silence after which we ask, and how long the answer (any frame) may take. */
export const PING_AFTER = 25_000
export const PONG_WITHIN = 10_000
/** As PONG_WITHIN, when there is a reason to doubt: the network changed, the machine slept. */
export const PROBE_WITHIN = 5_000
/** A connection that lived this long was a good one: the next back-off starts anew. */
const STEADY = 5_000
/** One that broke at once has shown at least that the server is there: no long wait, but no tight loop either. */
const REACHED = 3

export interface ConnectionUpcalls {
  /** A number for the next request, unused on this connection. */
  rid(): number
  hello(): Hello
  /** The socket is open and hello said: what need not wait for `welcome` may follow. */
  opened(): void
  /** Signed in. A string refuses: the connection ends with that reason. */
  welcomed(welcome: Welcome): string | undefined
  frame(frame: ServerFrame): void
  /** The connection is gone, whatever comes next. */
  lost(): void
  changed(state: State, info: StateInfo): void
  fault(what: string, detail: unknown): void
}

export class Connection {
  state: State = 'idle'
  info: StateInfo = {}

  readonly #environment: Environment
  readonly #url: string
  readonly #up: ConnectionUpcalls
  #socket: SocketLike | null = null
  /** Hello is said: frames may go out. */
  #open = false
  #attempt = 0
  #onlineSince = 0
  #bye: Bye | null = null
  /** The server asked not to be called before this. */
  #notBefore = 0
  /** For how long it asked that, in milliseconds. */
  #floor = 0
  #heardAt = 0
  /** How many frames this connection has brought. */
  #heard = 0
  /** The timer of the present phase: welcome awaited, silence, pong awaited, or the next attempt. */
  #cancel: Cancel | null = null
  #probing = false

  constructor(environment: Environment, url: string, up: ConnectionUpcalls) {
    this.#environment = environment
    this.#url = url
    this.#up = up
  }

  /** Frames may be sent: hello is said. Channels are subscribed from here, everything else waits for `online`. */
  get open(): boolean {
    return this.#open
  }

  connect(): void {
    if (this.state !== 'idle' && this.state !== 'ended') return
    this.#attempt = 0
    this.#notBefore = 0
    this.#dial()
  }

  close(): void {
    const socket = this.#detach()
    socket?.close(1000)
    this.#change('idle', {})
  }

  send(frame: ClientFrame): void {
    this.#socket?.send(JSON.stringify(frame))
  }

  wake(): void {
    if (this.state === 'offline') {
      // Bounded on both sides: the clock of the machine may have been put back.
      const left = this.#notBefore - this.#environment.now()
      this.#retryIn(Math.min(Math.max(0, left), this.#floor))
    }
    if (this.state === 'online' && !this.#probing) this.#probe(PROBE_WITHIN)
  }

  #dial(): void {
    this.#stopTimer()
    this.#change('connecting', withoutRetry(this.info))
    let socket: SocketLike
    try {
      socket = this.#environment.openSocket(this.#url)
    } catch (fault) {
      // An address that no WebSocket takes: trying again would not help, but neither would a crash.
      this.#up.fault('socket', fault)
      this.#end({ reason: String(fault) })
      return
    }
    this.#socket = socket
    socket.onopen = () => {
      if (this.#socket !== socket) return
      this.#open = true
      this.send(this.#up.hello())
      this.#up.opened()
    }
    socket.onmessage = (event: { data: unknown }) => {
      if (this.#socket === socket) this.#receive(event.data)
    }
    // The close event that follows tells all there is to know.
    socket.onerror = () => undefined
    socket.onclose = (event: { code: number; reason: string }) => {
      if (this.#socket === socket) this.#closed(event.code, event.reason)
    }
    this.#cancel = this.#environment.after(CONNECT_WITHIN, () => this.#abandon('No welcome came in time.'))
  }

  #receive(data: unknown): void {
    this.#heardAt = this.#environment.now()
    this.#heard += 1
    const frame = parsed(data)
    if (!frame) {
      this.#up.fault('frame', data)
      return
    }
    switch (frame.t) {
      case 'welcome':
        if (this.state === 'connecting') this.#welcome(frame)
        return
      case 'bye':
        this.#bye = frame
        return
      case 'pong':
        return
      default:
        this.#up.frame(frame)
    }
  }

  #welcome(frame: Welcome): void {
    const refusal = this.#up.welcomed(frame)
    if (refusal !== undefined) {
      const socket = this.#detach()
      socket?.close(1000)
      this.#end({ reason: refusal })
      return
    }
    this.#onlineSince = this.#environment.now()
    this.#listen(PING_AFTER)
    this.#change('online', {})
  }

  #listen(milliseconds: number): void {
    this.#stopTimer()
    this.#probing = false
    this.#cancel = this.#environment.after(milliseconds, () => {
      const silence = this.#environment.now() - this.#heardAt
      if (silence >= PING_AFTER || silence < 0) this.#probe(PONG_WITHIN)
      else this.#listen(PING_AFTER - silence)
    })
  }

  #probe(within: number): void {
    this.#stopTimer()
    this.#probing = true
    const heard = this.#heard
    this.send({ t: 'ping', rid: this.#up.rid() })
    this.#cancel = this.#environment.after(within, () => {
      if (this.#heard !== heard) this.#listen(PING_AFTER)
      else this.#abandon('No answer to a ping.')
    })
  }

  /** Leaves a socket that does not answer without waiting for its close handshake, which it would not answer either. */
  #abandon(reason: string): void {
    const socket = this.#socket
    this.#closed(CLOSE.NO_HEARTBEAT, reason)
    socket?.close(CLOSE.NO_HEARTBEAT)
  }

  #closed(told: number, reason: string): void {
    const bye = this.#bye
    // Some proxies swallow the close code; the server's last frame has told it.
    const code = bye && (told === 1005 || told === 1006) ? bye.close : told
    const now = this.#environment.now()
    const lived = this.state === 'online' ? now - this.#onlineSince : null
    this.#detach()
    const info: StateInfo = { closeCode: code, reason: reason || bye?.reason || '' }
    const fate = fateOf(code)
    if (fate === 'end') {
      this.#end(info)
      return
    }
    const attempt = attemptAfter(this.#attempt, lived)
    this.#attempt = nextAttempt(attempt, fate)
    const wait = delayAfter(fate === 'back-off' ? this.#attempt : attempt, bye?.retry_after, this.#environment.random)
    this.#floor = (bye?.retry_after ?? 0) * 1000
    this.#notBefore = now + this.#floor
    this.info = info
    this.#retryIn(wait)
  }

  #retryIn(milliseconds: number): void {
    this.#stopTimer()
    this.#cancel = this.#environment.after(milliseconds, () => this.#dial())
    this.#change('offline', { ...this.info, retryAt: this.#environment.now() + milliseconds })
  }

  #end(info: StateInfo): void {
    this.#stopTimer()
    this.#change('ended', info)
  }

  /** Lets go of the socket: nothing that it does from here on is heard. */
  #detach(): SocketLike | null {
    const socket = this.#socket
    this.#stopTimer()
    this.#socket = null
    this.#open = false
    this.#bye = null
    this.#probing = false
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null
      this.#up.lost()
    }
    return socket
  }

  #stopTimer(): void {
    this.#cancel?.()
    this.#cancel = null
  }

  #change(state: State, info: StateInfo): void {
    const before = this.state
    this.state = state
    this.info = info
    if (before !== state || state === 'offline') this.#up.changed(state, info)
  }
}

/** Failures in a row so far, as they count after a connection that lived this long (null: it was never welcomed). */
function attemptAfter(attempt: number, lived: number | null): number {
  if (lived === null) return attempt
  return lived >= STEADY ? 0 : Math.min(attempt, REACHED)
}

function withoutRetry(info: StateInfo): StateInfo {
  const { retryAt: _, ...rest } = info
  return rest
}

/** The frame, or null when it is none. Unknown types pass: newer servers may say more than we understand. */
function parsed(data: unknown): ServerFrame | null {
  if (typeof data !== 'string') return null
  try {
    const frame: unknown = JSON.parse(data)
    const known = typeof frame === 'object' && frame !== null && typeof (frame as { t?: unknown }).t === 'string'
    return known ? (frame as ServerFrame) : null
  } catch {
    return null
  }
}
