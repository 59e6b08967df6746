/** Calling people: `@handle` in the words, chosen from a list while typing. What the words show is what is called. Pure. */

import type { Inline } from './inline'
import { blocksOf, type Block } from './markdown'

/** Instead of a handle: everybody. */
export const ALL = 'all'
/** As the server takes. */
const MOST = 50

export interface Callable {
  readonly id: string
  readonly handle: string
  readonly name: string
}

/** The `@` that is being typed: what stands behind it, and from where on. */
export interface Asked {
  readonly from: number
  readonly query: string
}

const TYPED = /(?:^|[^A-Za-z0-9@/._-])@([^\s@，。！？、：；（）()[\]{}<>"'`*~]{0,32})$/u

export function askedAt(text: string, caret: number): Asked | null {
  const found = TYPED.exec(text.slice(Math.max(0, caret - 40), caret))
  const query = found?.[1]
  return query === undefined ? null : { from: caret - query.length - 1, query }
}

/** Who fits, the best first: whoever begins so, then whoever contains it. */
export function suited<T extends Callable>(people: readonly T[], query: string, most: number): T[] {
  const wanted = query.toLocaleLowerCase()
  const rank = ({ handle, name }: T): number => {
    const low = name.toLocaleLowerCase()
    if (low.startsWith(wanted) || handle.startsWith(wanted)) return 0
    return low.includes(wanted) ? 1 : 2
  }
  return people
    .map((person) => ({ person, rank: rank(person) }))
    .filter((each) => each.rank < 2)
    .toSorted((a, b) => a.rank - b.rank)
    .slice(0, most)
    .map((each) => each.person)
}

/** The text with the handle in the place of what was typed, and where the caret stands then. */
export function completed(text: string, asked: Asked, caret: number, handle: string): { text: string; caret: number } {
  const before = `${text.slice(0, asked.from)}@${handle} `
  return { text: before + text.slice(caret).replace(/^ /, ''), caret: before.length }
}

function handlesIn(blocks: readonly Block[]): string[] {
  const within = (nodes: readonly Inline[]): string[] =>
    nodes.flatMap((node) => {
      if (node.type === 'mention') return [node.handle]
      return 'children' in node ? within(node.children) : []
    })
  return blocks.flatMap((block) => {
    if (block.type === 'paragraph') return within(block.children)
    if (block.type === 'quote') return handlesIn(block.children)
    return block.type === 'list' ? block.items.flatMap(handlesIn) : []
  })
}

/** Whom these words call. What is quoted as code calls nobody. */
export function callsIn(text: string, people: readonly Callable[], mayCallAll: boolean): { mentions: string[]; everybody: boolean } {
  if (!text.includes('@')) return { mentions: [], everybody: false }
  const handles = new Set(handlesIn(blocksOf(text)))
  const mentions = people.filter(({ handle }) => handles.has(handle)).map(({ id }) => id)
  return { mentions: mentions.slice(0, MOST), everybody: mayCallAll && handles.has(ALL) }
}
