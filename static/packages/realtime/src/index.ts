/** For browsers; programs import `@vouch/realtime/node`. */

export { createRealtime } from './browser.js'
export type { BrowserOptions } from './browser.js'
export { indexedDbStorage } from './indexeddb.js'
export { finished, keptOpen } from './kept-open.js'
export * from './public.js'
