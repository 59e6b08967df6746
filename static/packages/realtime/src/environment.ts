/** What the client needs of the world around it. Tests turn the clock and hold the other end of the socket. */

/**
 * As much of a WebSocket as is used: the browser's and that of `ws` both fit.
 * The events are `any` because the two declare them differently; only `data`, `code` and `reason` are read.
 */
export interface SocketLike {
  onopen: ((event: any) => void) | null
  onmessage: ((event: any) => void) | null
  onerror: ((event: any) => void) | null
  onclose: ((event: any) => void) | null
  send(text: string): void
  close(code?: number, reason?: string): void
}

export type SocketConstructor = new (url: string) => SocketLike

/** Cancels a timer; harmless when it has fired. */
export type Cancel = () => void

export interface Environment {
  /** Milliseconds; differences are what counts, and pending entries are stamped with it. */
  now(): number
  /** 0 ≤ x < 1. */
  random(): number
  after(milliseconds: number, run: () => void): Cancel
  /** Runs once the present turn is over. */
  soon(run: () => void): void
  openSocket(url: string): SocketLike
  /** 128 random bits as base64url, 22 characters. */
  newId(): string
  /** Where the exceptions of listeners go, so that one listener's fault stops nobody else. */
  report(fault: unknown): void
}

export function systemEnvironment(socket: SocketConstructor): Environment {
  return {
    now: () => Date.now(),
    random: () => Math.random(),
    after(milliseconds, run) {
      const timer = setTimeout(run, milliseconds)
      return () => clearTimeout(timer)
    },
    soon: (run) => queueMicrotask(run),
    openSocket: (url) => new socket(url),
    newId: () => base64url(crypto.getRandomValues(new Uint8Array(16))),
    report(fault) {
      // As if nobody had caught it: on the console in browsers, `uncaughtException` in Node, which has no reportError.
      if (typeof reportError === 'function') reportError(fault)
      else queueMicrotask(() => rethrow(fault))
    },
  }
}

function rethrow(fault: unknown): never {
  throw fault
}

export function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}
