/**
 * Makes src/emoji/emoji.json, all that the picker of emoji knows, from the package emojibase-data (MIT, Miles Johnson), which is
 * too large to be a dependency:
 *
 *   npm pack emojibase-data@17 && tar xf emojibase-data-17.*.tgz && node build/emoji.mjs package
 *
 * One row per emoji: [emoji, group, English words, Chinese words, tones]. Words begin with the name; `tones` are the five skin
 * tones from light to dark, 1 where they are made by putting the tone behind the first sign.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const from = process.argv[2]
if (!from) throw new Error('where is emojibase-data?')
const read = (language) => JSON.parse(readFileSync(join(from, language, 'compact.json'), 'utf8'))

/** Skin tones and hair alone, and the letters of flags, are no emoji of their own. */
const COMPONENT = 2
const TONES = ['🏻', '🏼', '🏽', '🏾', '🏿']

function toned(emoji, tone) {
  const [first, ...rest] = [...emoji]
  return first + tone + rest.filter((sign, at) => !(at === 0 && sign === '\ufe0f')).join('')
}

function tonesOf(emoji, skins) {
  const five = (skins ?? []).filter(({ unicode }) => new Set([...unicode].filter((sign) => TONES.includes(sign))).size === 1).map(({ unicode }) => unicode)
  if (five.length !== TONES.length) return 0
  return five.every((each, at) => each === toned(emoji, TONES[at])) ? 1 : five
}

const words = ({ label, tags = [] }) => [label, ...tags.filter((tag) => !label.includes(tag))].join('|')

const chinese = new Map(read('zh').map((each) => [each.hexcode, each]))
const rows = read('en')
  .filter(({ group }) => group !== undefined && group !== COMPONENT)
  .sort((a, b) => a.order - b.order)
  .map((each) => [each.unicode, each.group, words(each), words(chinese.get(each.hexcode) ?? each), tonesOf(each.unicode, each.skins)])

writeFileSync(new URL('../src/emoji/emoji.json', import.meta.url), `[\n${rows.map((row) => JSON.stringify(row)).join(',\n')}\n]\n`)
