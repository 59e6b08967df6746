import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { Inline } from '../src/chat/inline'
import { blocksOf, plainOf, type Block } from '../src/chat/markdown'

/** The tree as a line that can be compared: <b>bold</b> and the like, for the eye of a test only. */
function inline(nodes: readonly Inline[]): string {
  return nodes
    .map((node) => {
      switch (node.type) {
        case 'text':
          return node.text
        case 'break':
          return '/'
        case 'code':
          return `<c>${node.text}</c>`
        case 'mention':
          return `<@${node.handle}>`
        case 'link':
          return `<a ${node.href}${node.plain ? '' : ' told'}>${node.text}</a>`
        default: {
          const name = { strong: 'b', emphasis: 'i', strike: 's' }[node.type]
          return `<${name}>${inline(node.children)}</${name}>`
        }
      }
    })
    .join('')
}

function shown(blocks: readonly Block[]): string {
  return blocks
    .map((block) => {
      if (block.type === 'paragraph') return `<p>${inline(block.children)}</p>`
      if (block.type === 'code') return `<pre ${block.language}>${block.text}</pre>`
      if (block.type === 'quote') return `<q>${shown(block.children)}</q>`
      return `<${block.ordered ? `ol ${block.start}` : 'ul'}>${block.items.map((item) => `<li>${shown(item)}</li>`).join('')}</list>`
    })
    .join('')
}

const line = (text: string): string => shown(blocksOf(text)).replace(/^<p>(.*)<\/p>$/su, '$1')

describe('words', () => {
  it.each([
    ['**bold** and *italic* and ~~gone~~ and `code`', '<b>bold</b> and <i>italic</i> and <s>gone</s> and <c>code</c>'],
    ['__bold__ and _italic_', '<b>bold</b> and <i>italic</i>'],
    ['***both***', '<b><i>both</i></b>'],
    ['**bold *and italic***', '<b>bold <i>and italic</i></b>'],
    ['*italic **and bold***', '<i>italic <b>and bold</b></i>'],
    ['请看**重点。**下一句', '请看<b>重点。</b>下一句'],
    ['他说*“好”*了，~~不~~行', '他说<i>“好”</i>了，<s>不</s>行'],
    ['snake_case_name and 2*3*4 and a * b * c', 'snake_case_name and 2*3*4 and a * b * c'],
    ['**not closed', '**not closed'],
    ['*a **b* c**', '<i>a **b</i> c**'],
    ['** blank **', '** blank **'],
    ['****', '****'],
    ['\\*not italic\\* C:\\dir', '*not italic* C:\\dir'],
    ['`a **b** c` ``a`b``', '<c>a **b** c</c> <c>a`b</c>'],
    ['`not closed', '`not closed'],
    ['one\ntwo', 'one/two'],
    ['ask @lin_2 or mail a@lin.example, @ab', 'ask <@lin_2> or mail a@lin.example, @ab'],
    ['你好@lin，@all。', '你好<@lin>，<@all>。'],
    ['(@mei.)', '(<@mei>.)'],
    ['<b>not bold</b> <img src=x onerror=alert(1)>', '<b>not bold</b> <img src=x onerror=alert(1)>'],
  ])('%s', (text, expected) => {
    expect(line(text)).toBe(expected)
  })
})

describe('links', () => {
  it.each([
    ['see https://a.example/x_(y), or http://b.example.', 'see <a https://a.example/x_(y)>https://a.example/x_(y)</a>, or <a http://b.example/>http://b.example</a>.'],
    ['**https://a.example/x**', '<b><a https://a.example/x>https://a.example/x</a></b>'],
    ['看https://a.example/路。', '看<a https://a.example/%E8%B7%AF>https://a.example/路</a>。'],
    ['mailto:lin@a.example', '<a mailto:lin@a.example>mailto:lin@a.example</a>'],
    ['[the book](https://a.example/b)', '<a https://a.example/b told>the book</a>'],
    ['[**the** book](https://a.example/b_(1))', '<a https://a.example/b_(1) told>the book</a>'],
    // Words that look like another address give way to the true one.
    ['[https://bank.example](https://evil.example/x)', '<a https://evil.example/x>https://evil.example/x</a>'],
    ['[bank.example](https://evil.example)', '<a https://evil.example/>https://evil.example/</a>'],
    ['[a.example](https://a.example/)', '<a https://a.example/>a.example</a>'],
    // Letters that only look Latin: what the network will be asked is told first.
    ['https://\u0430pple.example', '<a https://xn--pple-43d.example/ told>https://\u0430pple.example</a>'],
    ['https://good@evil.example javascript:alert(1) data:text/html,x', 'https://good@evil.example javascript:alert(1) data:text/html,x'],
    ['[x](javascript:alert(1)) [y](data:text/html,z) [z](//evil.example)', '[x](javascript:alert(1)) [y](data:text/html,z) [z](//evil.example)'],
    ['[x](https://a.example', '[x](<a https://a.example/>https://a.example</a>'],
    ['![x](https://a.example/i.png)', '!<a https://a.example/i.png told>x</a>'],
    ['[a [b](https://a.example) c](https://b.example)', '[a <a https://a.example/ told>b</a> c](<a https://b.example/>https://b.example</a>)'],
    ['xhttps://a.example', 'xhttps://a.example'],
    ['mailto:a@b.example?body=x', 'mailto:a@b.example?body=x'],
  ])('%s', (text, expected) => {
    expect(line(text)).toBe(expected)
  })

  it('hold nothing that turns or hides letters', () => {
    expect(line('https://a.example/\u202egnp.exe')).toBe('<a https://a.example/>https://a.example/</a>\u202egnp.exe')
    expect(line('[the \u202ebook](https://a.example)')).toBe('<a https://a.example/ told>the book</a>')
  })
})

describe('blocks', () => {
  it.each([
    ['one\n\ntwo', '<p>one</p><p>two</p>'],
    ['before\n```py\nx = **1**\n\ny\n```\nafter', '<p>before</p><pre py>x = **1**\n\ny</pre><p>after</p>'],
    ['```\nnever closed', '<pre >never closed</pre>'],
    ['> said *so*\n> twice\nI agree', '<q><p>said <i>so</i>/twice</p></q><p>I agree</p>'],
    ['> > deep', '<q><q><p>deep</p></q></q>'],
    ['- one\n- two\n  more\n- three', '<ul><li><p>one</p></li><li><p>two/more</p></li><li><p>three</p></li></list>'],
    ['3. c\n4. d', '<ol 3><li><p>c</p></li><li><p>d</p></li></list>'],
    ['- a\n  - b\n  - c\n- d', '<ul><li><p>a</p><ul><li><p>b</p></li><li><p>c</p></li></list></li><li><p>d</p></li></list>'],
    ['-not a list\n1.5 is a number\n# no heading', '<p>-not a list/1.5 is a number/# no heading</p>'],
    ['', ''],
  ])('%s', (text, expected) => {
    expect(shown(blocksOf(text))).toBe(expected)
  })

  it('become one line of words', () => {
    expect(plainOf('**Hello** [you](https://a.example)\n> quote\n- one\n- @lin\n```\ncode\n```')).toBe('Hello you quote one @lin code')
  })
})

const SIGNS = ['*', '**', '_', '~~', '`', '```', '[', ']', '](', ')', '(', '\n', '> ', '- ', '1. ', '\\', '@lin', 'https://a.example/', 'javascript:', ' ', 'x', '字', '<b>', '&lt;', '\u202e']
const texts = fc.array(fc.constantFrom(...SIGNS), { maxLength: 60 }).map((parts) => parts.join(''))

function every(blocks: readonly Block[], look: (node: Inline) => void): void {
  const within = (node: Inline): void => {
    look(node)
    if ('children' in node) node.children.forEach(within)
  }
  for (const block of blocks) {
    if (block.type === 'paragraph') block.children.forEach(within)
    else if (block.type === 'quote') every(block.children, look)
    else if (block.type === 'list') block.items.forEach((item) => every(item, look))
  }
}

describe('whatever is written', () => {
  it('leads to web pages and mail only, by an address without disguise', () => {
    fc.assert(
      fc.property(fc.oneof(texts, fc.string({ unit: 'grapheme' })), (text) => {
        every(blocksOf(text), (node) => {
          if (node.type !== 'link') return
          expect(['https:', 'http:', 'mailto:']).toContain(new URL(node.href).protocol)
          expect(node.text).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/u)
        })
      }),
      { numRuns: 500 },
    )
  })

  it('loses no letter', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const letters = (all: string): string => all.replace(/[^x字]/gu, '')
        // Addresses may hold letters; they are left out of the count by writing none into these texts.
        const free = text.replaceAll('https://a.example/', '').replaceAll('javascript:', '')
        const fences = free.replaceAll(/```[\w+#.-]+/gu, '```') // the language of a block is told elsewhere
        expect(letters(plainOf(fences, Infinity))).toBe(letters(fences))
      }),
      { numRuns: 500 },
    )
  })

  it.each(['*', '_', '~', '`', '[', ']', '](', '[](', '*a', '**a', '*a*', '[*a', '`a``', '> ', '>', '- ', '\n', '\\', '@abc', 'https://', 'https://a.example/)', ')', '\n- ', ' - ', '\n> - ', '~~_*'])(
    'takes no longer than its length: %j',
    (sign) => {
      const text = sign.repeat(Math.ceil(16_000 / sign.length)).slice(0, 16_000)
      const began = performance.now()
      blocksOf(text)
      // A square would take minutes here.
      expect(performance.now() - began).toBeLessThan(2_000)
    },
  )
})
