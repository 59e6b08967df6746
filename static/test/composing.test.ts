import { describe, expect, it } from 'vitest'

import { formatOf, formatted, type Format } from '../src/chat/formatting'
import { blocksOf } from '../src/chat/markdown'
import { markdownFrom } from '../src/chat/pasting'

/** A text in which [ ] stand around what is chosen. */
function chosen(marked: string): { text: string; start: number; end: number } {
  const start = marked.indexOf('⟦')
  const end = marked.indexOf('⟧') - 1
  return { text: marked.replace(/[⟦⟧]/g, ''), start, end }
}

function told({ text, start, end }: { text: string; start: number; end: number }): string {
  return `${text.slice(0, start)}⟦${text.slice(start, end)}⟧${text.slice(end)}`
}

describe('formatting', () => {
  it.each<[Format, string, string]>([
    ['bold', 'a ⟦word⟧ b', 'a **⟦word⟧** b'],
    ['bold', 'a **⟦word⟧** b', 'a ⟦word⟧ b'],
    ['italic', 'a ⟦word ⟧b', 'a *⟦word⟧* b'],
    ['italic', '**⟦word⟧**', '***⟦word⟧***'],
    ['strike', '⟦⟧', '~~⟦⟧~~'],
    ['code', '⟦x⟧', '`⟦x⟧`'],
    ['link', 'see ⟦here⟧', 'see [here](⟦https://⟧)'],
    ['link', '⟦https://a.example/x⟧', '[⟦words⟧](https://a.example/x)'],
    ['quote', 'one\n⟦two\nthree⟧', 'one\n> ⟦two\n> three⟧'],
    ['quote', '> ⟦two⟧', '⟦two⟧'],
    ['list', '⟦a\nb⟧', '- ⟦a\n- b⟧'],
  ])('%s of %j is %j', (format, before, after) => {
    expect(told(formatted(chosen(before), format, 'words'))).toBe(after)
  })

  it('has the keys that people know', () => {
    expect([formatOf('b', false), formatOf('I', false), formatOf('k', true), formatOf('k', false), formatOf('x', true), formatOf('x', false)]).toEqual(['bold', 'italic', 'link', null, 'strike', null])
  })
})

describe('pasting rich text', () => {
  it.each<[string, string | null]>([
    ['<p>plain</p>', null],
    ['<p><b>bold</b> and <i>italic</i></p><p>two</p>', '**bold** and *italic*\n\ntwo'],
    ['<ul><li>one</li><li>two <code>x</code></li></ul>', '- one\n- two `x`'],
    ['<ol><li>one<ul><li>deep</li></ul></li></ol>', '1. one\n   - deep'],
    ['<pre>a\n  b</pre>', '```\na\n  b\n```'],
    ['<blockquote>said<br>twice</blockquote>', '> said\n> twice'],
    ['<a href="https://a.example/x">the book</a>', '[the book](https://a.example/x)'],
    ['<a href="https://a.example/x">https://a.example/x</a>', 'https://a.example/x'],
    ['<a href="javascript:alert(1)">click</a>', 'click'],
    ['<b style="font-weight:normal">all <em>of</em> it</b>', 'all *of* it'],
    ['<b>x</b><script>alert(1)</script><style>p{}</style><img src=x onerror=alert(1)>', '**x**'],
  ])('%j', (html, expected) => {
    expect(markdownFrom(html)).toBe(expected)
  })

  it('makes words that are read again as they were meant', () => {
    const text = markdownFrom('<p>a <strong>b</strong></p><ul><li>c</li></ul>') ?? ''
    expect(blocksOf(text).map((block) => block.type)).toEqual(['paragraph', 'list'])
  })
})
