// @vitest-environment node
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { describe, expect, it } from 'vitest'

import { TINTS } from '../src/initials'

/** WCAG 2.2, 1.4.3: text needs 4.5 : 1 against what it stands on. */
const AA = 4.5

const css = readFileSync(fileURLToPath(new URL('../src/styles/tokens.css', import.meta.url)), 'utf8')

function palette(block: string): Map<string, string> {
  return new Map(Array.from(block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6});/g), (found) => [found[1] ?? '', found[2] ?? '']))
}

function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function contrast(one: string, other: string): number {
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

const [light = '', dark = ''] = css.split(":root[data-theme='dark']")
const pairs: [string, string][] = [
  ...['ink', 'ink-2', 'seal', 'jade', 'sky', 'amber'].flatMap((text): [string, string][] => [
    [text, 'paper'],
    [text, 'card'],
    [text, 'sunken'],
  ]),
  ['seal', 'seal-soft'],
  ['jade', 'jade-soft'],
  ['sky', 'sky-soft'],
  ['amber', 'amber-soft'],
  ['ink', 'sky-soft'],
  ['ink-2', 'sky-soft'],
  ['on-strong', 'sky'],
  ['on-strong', 'sky-strong'],
  ['on-strong', 'seal'],
  ...Array.from({ length: TINTS }, (_, at): [string, string] => [`avatar-${at + 1}-ink`, `avatar-${at + 1}`]),
]

describe.each([
  ['light', palette(light)],
  ['dark', palette(dark)],
])('contrast in the %s theme', (_theme, colours) => {
  it.each(pairs)('%s on %s', (text, ground) => {
    const one = colours.get(text)
    const other = colours.get(ground)
    if (one === undefined || other === undefined) throw new Error(`no such token: ${text} or ${ground}`)
    expect(contrast(one, other)).toBeGreaterThanOrEqual(AA)
  })
})
