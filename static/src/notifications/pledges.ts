/** What the inbox tells of a pledge, in words. Pure. */

import en from '../locales/en/pledge-news'

type What = keyof (typeof en)['what']

/** The words of one language, as pages and the service worker have them. */
export interface PledgeNewsWords {
  readonly server: string
  readonly other: string
  readonly what: Readonly<Record<What, string>>
}

/** Whether there are words for it. */
export function isWhat(what: string): what is What {
  return Object.hasOwn(en.what, what)
}

/** `name` is who acted; empty: time, or the server. What is unknown here was added by a newer server. */
export function pledgeSentence(words: PledgeNewsWords, what: string, name: string): string {
  return isWhat(what) ? words.what[what].replace('{name}', name || words.server) : words.other
}
