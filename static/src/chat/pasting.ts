/** Rich text from elsewhere as the Markdown of messages, where that is simple. Nothing of it is ever put into the page. */

const BLOCKS: ReadonlySet<string> = new Set(['P', 'DIV', 'SECTION', 'ARTICLE', 'H1', 'H2', 'H3', 'H4', 'H5', 'H6', 'TR', 'TABLE', 'HEADER', 'FOOTER', 'MAIN'])
const SIGNS: Readonly<Record<string, string>> = { B: '**', STRONG: '**', I: '*', EM: '*', S: '~~', DEL: '~~', STRIKE: '~~', CODE: '`' }
const UNSEEN: ReadonlySet<string> = new Set(['SCRIPT', 'STYLE', 'TEMPLATE', 'NOSCRIPT', 'HEAD', 'TITLE', 'META', 'LINK', 'SVG', 'IFRAME', 'OBJECT'])
/** Without any of these, plain text says the same. */
const WORTH = 'b,strong,i,em,s,del,strike,code,pre,blockquote,ul,ol,a[href]'
/** Nested deeper than this, elements are only words. */
const DEEPEST = 40

/** Null when the plain text that comes along says the same. */
export function markdownFrom(html: string): string | null {
  const { body } = new DOMParser().parseFromString(html, 'text/html')
  if (!body.querySelector(WORTH)) return null
  const text = within(body, 0)
    .replace(/[ \t]+\n/g, '\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
  return text === '' ? null : text
}

function within(node: Node, depth: number): string {
  return Array.from(node.childNodes, (child) => shown(child, depth + 1)).join('')
}

/** Signs around words, with the blanks outside of them. */
function signed(sign: string, words: string): string {
  const inside = words.trim()
  if (inside === '' || inside.includes('\n')) return words
  const at = words.indexOf(inside)
  return words.slice(0, at) + sign + inside + sign + words.slice(at + inside.length)
}

function prefixed(text: string, first: string, rest: string): string {
  return text
    .trim()
    .split('\n')
    .map((line, at) => (at === 0 ? first : rest) + line)
    .join('\n')
}

function listOf(element: Element, depth: number): string {
  const ordered = element.tagName === 'OL'
  return Array.from(element.children, (item, at) => {
    const sign = ordered ? `${at + 1}. ` : '- '
    return prefixed(within(item, depth), sign, ' '.repeat(sign.length))
  }).join('\n')
}

function shown(node: Node, depth: number): string {
  if (node.nodeType === Node.TEXT_NODE) return (node.textContent ?? '').replace(/\s+/gu, ' ')
  if (!(node instanceof Element)) return ''
  const { tagName } = node
  if (UNSEEN.has(tagName)) return ''
  if (depth > DEEPEST) return node.textContent ?? ''
  if (tagName === 'BR') return '\n'
  if (tagName === 'PRE') return `\n\`\`\`\n${(node.textContent ?? '').replace(/\n$/, '')}\n\`\`\`\n`
  if (tagName === 'BLOCKQUOTE') return `\n${prefixed(within(node, depth), '> ', '> ')}\n`
  if (tagName === 'UL' || tagName === 'OL') return `\n${listOf(node, depth)}\n`
  const words = within(node, depth)
  // Some programs wrap everything in a <b> that is not bold.
  if (tagName === 'B' && /font-weight:\s*(?:normal|400)/.test(node.getAttribute('style') ?? '')) return words
  const sign = SIGNS[tagName]
  if (sign !== undefined) return signed(sign, words)
  if (tagName === 'A') return linked(node.getAttribute('href') ?? '', words)
  return BLOCKS.has(tagName) ? `\n${words.trim()}\n` : words
}

function linked(href: string, words: string): string {
  const text = words.trim()
  if (!/^(?:https?:\/\/|mailto:)[^\s()<>]+$/i.test(href) || text === '') return words
  return text === href || text.includes('\n') || /[[\]]/.test(text) ? href : `[${text}](${href})`
}
