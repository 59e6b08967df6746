/** The client for programs: a token instead of a cookie, and whichever WebSocket the program brings (`ws` fits). */

import { Client } from './client.js'
import { systemEnvironment } from './environment.js'
import type { SocketConstructor } from './environment.js'
import { memoryStorage } from './storage.js'
import type { Storage } from './storage.js'
import { loneTab } from './tabs.js'
import type { Realtime } from './types.js'

export interface ProgramOptions {
  /** ws:// or wss:// address of the server's socket. */
  url: string
  token: string
  /** The WebSocket implementation; the global one (Node 22 and later) unless told. */
  WebSocket?: SocketConstructor
  /** Memory unless told: a program that must not lose unsent appends over a restart brings its own. */
  storage?: Storage
  /** `Realtime.epoch` of an earlier run, for channels that are opened with `after`. */
  epoch?: string
}

export function createProgram(options: ProgramOptions): Realtime {
  const environment = systemEnvironment(options.WebSocket ?? globalThis.WebSocket)
  return new Client({
    url: options.url,
    token: options.token,
    epoch: options.epoch,
    storage: options.storage ?? memoryStorage(),
    tabs: loneTab(environment.newId()),
    environment,
  })
}

export * from './public.js'
