/** What was typed and not sent, per conversation; survives a reload, goes with the sign-out. */

import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'

import { useSession } from './session'

const START = 'draft.'

export const useDrafts = defineStore('drafts', () => {
  const session = useSession()
  const byId = shallowReactive(new Map<string, string>())

  function restore(): void {
    const shelf = session.shelf()
    for (const name of shelf.names(START)) {
      const text = shelf.read<string>(name)
      if (typeof text === 'string' && text) byId.set(name.slice(START.length), text)
    }
  }

  function keep(conversation: string, text: string): void {
    if (session.status !== 'in') return
    const name = START + conversation
    if (text.trim()) {
      byId.set(conversation, text)
      session.shelf().write(name, text)
    } else {
      byId.delete(conversation)
      session.shelf().remove(name)
    }
  }

  return { get: (conversation: string): string => byId.get(conversation) ?? '', keep, restore, clear: () => byId.clear() }
})
