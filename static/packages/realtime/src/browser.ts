/** The client in a browser: signed in by its cookie, woken by the network and the page, storing in IndexedDB. */

import { Client } from './client.js'
import { systemEnvironment } from './environment.js'
import { indexedDbStorage } from './indexeddb.js'
import { memoryStorage } from './storage.js'
import type { Storage } from './storage.js'
import { lockedTabs, loneTab } from './tabs.js'
import type { Realtime } from './types.js'

export interface BrowserOptions {
  /** The id of the person who is signed in. */
  person: string
  /** The socket's address, relative to the page or absolute; `/api/v1/socket` unless told. */
  url?: string
  /** `Realtime.epoch` of an earlier run, for channels that are opened with an `after` kept from then. */
  epoch?: string | undefined
  /** IndexedDB unless told; memory where there is none. */
  storage?: Storage
}

export function createRealtime(options: BrowserOptions): Realtime {
  const { person } = options
  const environment = systemEnvironment(WebSocket)
  const tab = environment.newId()
  const client = new Client({
    url: socketUrl(options.url ?? '/api/v1/socket', location.href),
    person,
    epoch: options.epoch,
    storage: options.storage ?? (typeof indexedDB === 'undefined' ? memoryStorage() : indexedDbStorage(person)),
    // Only a secure context has Web Locks; the loopback is one.
    tabs: 'locks' in navigator ? lockedTabs(person, tab, navigator.locks) : loneTab(tab),
    environment,
  })
  const wake = (): void => client.wake()
  const hurry = (): void => client.hurry()
  const visible = (): void => {
    if (document.visibilityState === 'visible') client.wake()
    else client.hurry()
  }
  let listening = false
  client.on('state', (state) => {
    const wanted = state !== 'idle' && state !== 'ended'
    if (wanted === listening) return
    listening = wanted
    const change = wanted ? 'addEventListener' : 'removeEventListener'
    // `offline` too: the connection is then asked whether it lives, rather than believed dead.
    for (const name of ['online', 'offline', 'pageshow']) window[change](name, wake)
    window[change]('pagehide', hurry)
    document[change]('visibilitychange', visible)
  })
  return client
}

/** `/api/v1/socket` on https://host → wss://host/api/v1/socket. */
export function socketUrl(url: string, base: string): string {
  const address = new URL(url, base)
  address.protocol = address.protocol.replace(/^http/, 'ws')
  return address.href
}
