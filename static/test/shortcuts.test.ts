import { describe, expect, it } from 'vitest'

import { capsOf, isWriting, matches } from '../src/shortcuts'

const key = (name: string, more: Partial<KeyboardEvent> = {}): KeyboardEvent => new KeyboardEvent('keydown', { key: name, ...more })

describe('shortcuts', () => {
  it.each([
    ['?', key('?', { shiftKey: true }), true],
    ['?', key('?', { ctrlKey: true }), false],
    ['R', key('r'), true],
    ['R', key('r', { ctrlKey: true }), false],
    ['R', key('r', { altKey: true }), false],
    ['Mod+K', key('k', { ctrlKey: true }), true],
    ['Mod+K', key('k'), false],
    ['Mod+K', key('k', { ctrlKey: true, metaKey: true }), false],
    ['Alt+ArrowUp', key('ArrowUp', { altKey: true }), true],
    ['Alt+ArrowUp', key('ArrowUp', { altKey: true, shiftKey: true }), false],
    ['Alt+Shift+ArrowUp', key('ArrowUp', { altKey: true, shiftKey: true }), true],
    ['Enter', key('Enter', { shiftKey: true }), false],
  ])('%s', (keys, event, matched) => {
    expect(matches(keys, event)).toBe(matched)
  })

  it('are shown as the keyboard has them', () => {
    expect(capsOf('Mod+K', false)).toEqual(['Ctrl', 'K'])
    expect(capsOf('Mod+K', true)).toEqual(['⌘', 'K'])
    expect(capsOf('Alt+Shift+ArrowDown', false)).toEqual(['Alt', '⇧', '↓'])
  })

  it('leave those alone who write', () => {
    document.body.innerHTML = '<textarea></textarea><input type="radio"><button><b></b></button>'
    expect(['textarea', 'input', 'b'].map((name) => isWriting(document.querySelector(name)))).toEqual([true, false, false])
    expect(isWriting(null)).toBe(false)
  })
})
