/** The servers that help to find a way, with credentials that hold for some hours. */

import { api } from './api'

/** Credentials that end sooner than this are not begun with, milliseconds. */
const LEAST = 60_000

/** Asks for them when they are needed, and again when they are about to end. Empty where they cannot be had: a direct way may be there. */
export function iceKnown(): () => Promise<RTCIceServer[]> {
  let known: { readonly servers: RTCIceServer[]; readonly until: number } | null = null
  return async () => {
    try {
      if (known === null || Date.now() > known.until - LEAST) known = await api.ice()
    } catch {
      // what is known may do
    }
    return known?.servers ?? []
  }
}
