/** The tiny preview of a picture (a ThumbHash) as an address that can be shown at once. */

import { thumbHashToDataURL } from 'thumbhash'

const known = new Map<string, string>()
const KNOWN_MOST = 300

/** Empty when there is none, or it is damaged. */
export function blurOf(hash: string | undefined): string {
  if (!hash) return ''
  const before = known.get(hash)
  if (before !== undefined) return before
  let address = ''
  try {
    address = thumbHashToDataURL(Uint8Array.from(atob(hash), (sign) => sign.charCodeAt(0)))
  } catch {
    // a picture without a preview is a grey field until it is there
  }
  if (known.size >= KNOWN_MOST) known.clear()
  known.set(hash, address)
  return address
}
