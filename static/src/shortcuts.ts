/** Keys that do something wherever the focus is. Pages add theirs while they are shown; `?` lists all (ShortcutSheet.vue). */

import { computed, onBeforeUnmount, onMounted, shallowReactive } from 'vue'

import type { MessageKey } from './locales/en'

export interface Shortcut {
  readonly group: 'general' | 'chats' | 'messages' | 'writing' | 'calls'
  /** What it does, in words. */
  readonly text: MessageKey
  /**
   * As `KeyboardEvent.key` says, with `Mod+` (Ctrl, on Apple's keyboards ⌘), `Alt+` and `Shift+` before it. Several: each
   * of them does it. With letters and signs Shift is not asked for.
   */
  readonly keys: readonly string[]
  /** Absent: some other part of the page does it, here it is only listed. False: it was not meant. */
  readonly run?: (event: KeyboardEvent) => boolean | void
  /** Also while somebody writes. */
  readonly whileWriting?: boolean
}

const APPLE = /Mac|iPhone|iPad/.test(navigator.platform)

const lists = shallowReactive<(readonly Shortcut[])[]>([])

/** All that work now; the ones that were added last come first. */
export const shortcuts = computed(() => lists.flat())

export function isWriting(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input:not([type="radio"], [type="checkbox"]), textarea, select, [contenteditable="true"]') !== null
}

/** Whether something is open that has keys of its own, and is closed by Escape. */
export function isCovered(): boolean {
  return document.querySelector('dialog[open], [popover]:popover-open:not(.toasts)') !== null
}

export function matches(keys: string, event: Pick<KeyboardEvent, 'key' | 'altKey' | 'shiftKey' | 'ctrlKey' | 'metaKey'>): boolean {
  const parts = keys.split('+')
  const key = parts.at(-1) ?? ''
  const mod = APPLE ? event.metaKey : event.ctrlKey
  const other = APPLE ? event.ctrlKey : event.metaKey
  if (parts.includes('Mod') !== mod || other || parts.includes('Alt') !== event.altKey) return false
  if (key.length > 1 && parts.includes('Shift') !== event.shiftKey) return false
  return event.key.toLowerCase() === key.toLowerCase()
}

/** The caps of the keys as they are called on this keyboard. */
export function capsOf(keys: string, apple = APPLE): string[] {
  const names: Record<string, string> = {
    Mod: apple ? '⌘' : 'Ctrl',
    Alt: apple ? '⌥' : 'Alt',
    Shift: '⇧',
    ArrowUp: '↑',
    ArrowDown: '↓',
    Escape: 'Esc',
    Enter: '↵',
    PageUp: 'PgUp',
    PageDown: 'PgDn',
  }
  return keys.split('+').map((key) => names[key] ?? (key.length === 1 ? key.toUpperCase() : key))
}

function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing || isCovered()) return
  const writing = isWriting(event.target)
  for (const list of lists.toReversed()) {
    for (const { keys, run, whileWriting } of list) {
      if (!run || (writing && !whileWriting) || !keys.some((each) => matches(each, event))) continue
      if (run(event) === false) continue
      event.preventDefault()
      return
    }
  }
}

export function useShortcuts(list: readonly Shortcut[]): void {
  onMounted(() => {
    if (lists.length === 0) window.addEventListener('keydown', onKey)
    lists.push(list)
  })
  onBeforeUnmount(() => {
    lists.splice(lists.indexOf(list), 1)
    if (lists.length === 0) window.removeEventListener('keydown', onKey)
  })
}
