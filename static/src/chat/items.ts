/** Everybody whose name an item of the log says. Pure. */

import { peopleIn } from './notices'
import type { Item } from './timeline'

export function peopleOf(item: Item): string[] {
  if (item.type === 'notice') return [item.by, ...peopleIn(item)]
  return [item.by, ...item.mentions, ...item.reactions.map((mark) => mark.by), item.forwarded?.by ?? '', item.removedBy ?? '']
}
