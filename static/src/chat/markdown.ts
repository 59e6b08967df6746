/**
 * The Markdown of messages: bold, italic, struck out, code, quotes, lists, links, line breaks. Text in, a tree out; nothing in it
 * is ever markup, so there is nothing to escape. Every text is allowed, and what is not understood stays as it was typed.
 * The time it takes grows with the length of the text, whatever it is. Pure.
 */

import { inlineOf, type Inline } from './inline'

export type Block =
  | { readonly type: 'paragraph'; readonly children: readonly Inline[] }
  | { readonly type: 'code'; readonly language: string; readonly text: string }
  | { readonly type: 'quote'; readonly children: readonly Block[] }
  | { readonly type: 'list'; readonly ordered: boolean; readonly start: number; readonly items: readonly (readonly Block[])[] }

/** Quotes and lists within each other. Deeper ones stay text. */
const DEEPEST = 4

const FENCE = /^ {0,3}(`{3,}|~{3,})([\w+#.-]{0,20})[ \t]*$/
const QUOTE = /^ {0,3}> ?/
const ITEM = /^( {0,3})([-*•]|\d{1,3}[.)])[ \t]+(?=\S)/

export function blocksOf(text: string): Block[] {
  return read(text.replaceAll('\r\n', '\n').split('\n'), 0)
}

function read(lines: readonly string[], depth: number): Block[] {
  const blocks: Block[] = []
  let plain: string[] = []
  function flush(): void {
    const words = plain.join('\n').replace(/^\n+|\n+$/g, '')
    plain = []
    if (words !== '') blocks.push({ type: 'paragraph', children: inlineOf(words) })
  }
  for (let at = 0; at < lines.length; ) {
    const line = lines[at] ?? ''
    const taken = line === '' ? null : (fenced(lines, at) ?? (depth < DEEPEST ? (quoted(lines, at, depth) ?? listed(lines, at, depth)) : null))
    if (taken) {
      flush()
      blocks.push(taken.block)
      at = taken.next
    } else {
      if (line.trim() === '') flush()
      else plain.push(line)
      at += 1
    }
  }
  flush()
  return blocks
}

interface Taken {
  readonly block: Block
  readonly next: number
}

/** A code block ends with its fence, or with the text. */
function fenced(lines: readonly string[], at: number): Taken | null {
  const opening = FENCE.exec(lines[at] ?? '')
  if (!opening) return null
  const fence = opening[1] ?? ''
  let next = at + 1
  while (next < lines.length && (lines[next] ?? '').trim() !== fence) next += 1
  return { block: { type: 'code', language: opening[2] ?? '', text: lines.slice(at + 1, next).join('\n') }, next: next + 1 }
}

function quoted(lines: readonly string[], at: number, depth: number): Taken | null {
  let next = at
  while (next < lines.length && QUOTE.test(lines[next] ?? '')) next += 1
  if (next === at) return null
  const inner = lines.slice(at, next).map((line) => line.replace(QUOTE, ''))
  return { block: { type: 'quote', children: read(inner, depth + 1) }, next }
}

function listed(lines: readonly string[], at: number, depth: number): Taken | null {
  const first = ITEM.exec(lines[at] ?? '')
  if (!first) return null
  const ordered = /\d/.test(first[2] ?? '')
  const items: string[][] = []
  let next = at
  let indent = 0
  for (; next < lines.length; next += 1) {
    const line = lines[next] ?? ''
    const mark = ITEM.exec(line)
    const blanks = /^ */.exec(line)?.[0].length ?? 0
    if (items.length > 0 && line !== '' && blanks >= Math.min(indent, 2) && blanks > 0) {
      items.at(-1)?.push(line.slice(Math.min(blanks, indent)))
    } else if (mark && /\d/.test(mark[2] ?? '') === ordered) {
      indent = mark[0].length
      items.push([line.slice(indent)])
    } else break
  }
  const start = ordered ? Number.parseInt(first[2] ?? '1', 10) : 1
  return { block: { type: 'list', ordered, start, items: items.map((item) => read(item, depth + 1)) }, next }
}

/** The words without their signs, on one line: for quotes, previews and what is read aloud. `most` characters of the text are looked at. */
export function plainOf(text: string, most = 400): string {
  return wordsIn(blocksOf(text.slice(0, most))).replace(/\s+/gu, ' ').trim()
}

function wordsIn(blocks: readonly Block[]): string {
  return blocks
    .map((block) => {
      if (block.type === 'paragraph') return wordsOfInline(block.children)
      if (block.type === 'code') return block.text
      return block.type === 'quote' ? wordsIn(block.children) : block.items.map(wordsIn).join(' ')
    })
    .join(' ')
}

function wordsOfInline(nodes: readonly Inline[]): string {
  return nodes
    .map((node) => {
      if (node.type === 'break') return '\n'
      if (node.type === 'mention') return `@${node.handle}`
      return 'children' in node ? wordsOfInline(node.children) : node.text
    })
    .join('')
}
