/** The page's side of the service worker: registers it, learns of new builds, and takes them when somebody says so. */

import { readonly, ref } from 'vue'

import { PREFIX } from './worker/shell'

const PATH = '/worker.js'
/** Milliseconds between two looks for a new build while the page is used. */
const LOOK_EVERY = 30 * 60_000

const ready = ref(false)
/** A new build is on the device, and waits. */
export const updateReady = readonly(ready)

let registration: ServiceWorkerRegistration | null = null
let lookedAt = 0

/** This page takes part in the change; else it goes on as it is, and is told that there is a new one. */
let taking = false

function watchInstalling(worker: ServiceWorker | null): void {
  worker?.addEventListener('statechange', () => {
    // The first of all installs replaces nothing.
    if (worker.state === 'installed' && navigator.serviceWorker.controller) ready.value = true
  })
}

/** Asks the server whether there is a new build. Cheap when there is none. */
export async function lookForUpdate(): Promise<void> {
  lookedAt = Date.now()
  try {
    await registration?.update()
  } catch {
    // the server is away: another time
  }
}

/** Without a worker everything works, but only while the server can be reached. */
export async function followWorker(): Promise<void> {
  if (!('serviceWorker' in navigator)) return
  if (import.meta.env.DEV) return removeWorker()
  let controlled = navigator.serviceWorker.controller !== null
  navigator.serviceWorker.addEventListener('controllerchange', () => {
    if (taking) window.location.reload()
    else if (controlled) ready.value = true
    controlled = true
  })
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible' && Date.now() - lookedAt > LOOK_EVERY) void lookForUpdate()
  })
  try {
    registration = await navigator.serviceWorker.register(PATH, { scope: '/', updateViaCache: 'none' })
  } catch {
    return // a private window, a certificate that is not trusted, or forbidden
  }
  lookedAt = Date.now()
  if (registration.waiting && controlled) ready.value = true
  watchInstalling(registration.installing)
  registration.addEventListener('updatefound', () => watchInstalling(registration?.installing ?? null))
}

/** Reloads the page with the new build. */
export function takeUpdate(): void {
  taking = true
  if (registration?.waiting) registration.waiting.postMessage('vouch-update')
  else window.location.reload()
}

/** Leaves nothing of it on the device. */
export async function removeWorker(): Promise<void> {
  const all = await navigator.serviceWorker.getRegistrations()
  await Promise.all(all.map((each) => each.unregister()))
  for (const name of await caches.keys()) if (name.startsWith(PREFIX)) await caches.delete(name)
}
