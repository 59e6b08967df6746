/** What can be shown large in a conversation, in the order in which it was said. Pure. */

import type { Media } from '@vouch/realtime'

import type { Item } from './timeline'

export interface Visual {
  readonly media: Media
  readonly by: string
  readonly at: number
}

export function visualsOf(items: readonly Item[]): Visual[] {
  return items.flatMap((item) => {
    if (item.type !== 'message' || item.gone) return []
    return item.media.filter(({ kind }) => kind === 'picture' || kind === 'video').map((media) => ({ media, by: item.by, at: item.at }))
  })
}
