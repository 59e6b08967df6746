/**
 * What is loaded of a conversation's log: the newest part always, and beside it at times a part around an older message
 * that somebody went to. They are one as soon as they touch. Pure.
 */

import type { Entry } from '@vouch/realtime'

import { altered, NOTHING, opened, withEarlier, withEntry, withLater, type Loaded, type Snapshot } from './timeline'

export interface Windows {
  readonly newest: Snapshot
  /** Ends before `newest` begins, with at least one entry between; null: nobody looks elsewhere. */
  readonly aside: Snapshot | null
}

export const NO_WINDOWS: Windows = { newest: NOTHING, aside: null }

/** The part that is looked at. */
export function shown({ newest, aside }: Windows): Snapshot {
  return aside ?? newest
}

export function holds({ low, high }: Snapshot, seq: number): boolean {
  return low > 0 && low <= seq && seq <= high
}

/** Two pages, of which the second begins where the first ends, as one. */
export function joinedPages(before: Loaded, after: Loaded): Loaded {
  const last = before.entries.at(-1)?.seq ?? 0
  return {
    head: Math.max(before.head, after.head),
    n: after.n,
    entries: [...before.entries, ...after.entries.filter((entry) => entry.seq > last)],
    modifiers: [...(before.modifiers ?? []), ...(after.modifiers ?? [])],
  }
}

function joined({ newest, aside }: Windows): Windows {
  if (!aside || newest === NOTHING || aside.high < newest.low - 1) return { newest, aside }
  if (aside.low >= newest.low) return { newest, aside: null }
  const earlier = aside.items.filter((item) => item.seq < newest.low)
  return { newest: { ...newest, items: [...earlier, ...newest.items], low: aside.low }, aside: null }
}

/** The newest page was loaded, at first or again. */
export function withNewest(windows: Windows, page: Loaded): Windows {
  return joined({ ...windows, newest: opened(page) })
}

/** Somebody goes to a message that is not loaded: the page around it. An empty one changes nothing. */
export function withAside(windows: Windows, page: Loaded): Windows {
  return page.entries.length === 0 ? windows : joined({ ...windows, aside: opened(page) })
}

/** The page before what is shown. */
export function withEarlierPage(windows: Windows, page: Loaded): Windows {
  if (!windows.aside) return { newest: withEarlier(windows.newest, page), aside: null }
  return { ...windows, aside: withEarlier(windows.aside, page) }
}

/** The page behind what is shown. */
export function withLaterPage(windows: Windows, page: Loaded): Windows {
  return windows.aside ? joined({ ...windows, aside: withLater(windows.aside, page) }) : windows
}

/** Nothing earlier than `first` may be seen. */
export function begunAt(windows: Windows, first: number): Windows {
  const begun = (snapshot: Snapshot): Snapshot => ({ ...snapshot, low: Math.max(1, first) })
  return windows.aside ? { ...windows, aside: begun(windows.aside) } : { newest: begun(windows.newest), aside: null }
}

/** The next entry of the log; it may change what is shown elsewhere. */
export function withNext({ newest, aside }: Windows, entry: Entry): Windows {
  return { newest: withEntry(newest, entry), aside: aside && altered(aside, entry) }
}

/** What came while a page was on its way, and may be about its entries. */
export function withAltered({ newest, aside }: Windows, entries: readonly Entry[]): Windows {
  return { newest: entries.reduce(altered, newest), aside: aside && entries.reduce(altered, aside) }
}
