/** The service worker: keeps the shell of the client, and shows what is pushed. The build makes one file of it, /worker.js. */

import { listenForPushes, type PushScope } from './push'
import { ShellKeeper, wayOf, type Shell } from './shell'

declare const self: ServiceWorkerGlobalScope
declare const __SHELL__: Shell

const keeper = new ShellKeeper(__SHELL__, caches, (request, init) => fetch(request, init))

self.addEventListener('install', (event) => event.waitUntil(keeper.install()))

self.addEventListener('activate', (event) => {
  event.waitUntil(keeper.tidy().then(() => self.clients.claim()))
})

self.addEventListener('fetch', (event) => {
  const way = wayOf(event.request, self.location.origin)
  if (way === 'page') event.respondWith(keeper.page(event.request))
  else if (way === 'file') event.respondWith(keeper.file(event.request))
})

self.addEventListener('message', (event) => {
  // A new build waits until somebody says so: nobody's page changes under their hands.
  if (event.data === 'vouch-update') void self.skipWaiting()
})

listenForPushes(self as unknown as PushScope)
