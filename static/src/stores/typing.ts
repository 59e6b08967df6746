/** Who is typing where. Each sign of it lasts 5 s; whoever goes on typing says so every 3 s. */

import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'

const LASTS = 5_000

export const useTyping = defineStore('typing', () => {
  const byConversation = shallowReactive(new Map<string, readonly string[]>())
  const timers = new Map<string, ReturnType<typeof setTimeout>>()

  function set(conversation: string, person: string, on: boolean): void {
    const key = `${conversation}|${person}`
    clearTimeout(timers.get(key))
    timers.delete(key)
    const before = byConversation.get(conversation) ?? []
    if (!on) {
      if (before.includes(person)) byConversation.set(conversation, before.filter((each) => each !== person))
      return
    }
    timers.set(
      key,
      setTimeout(() => set(conversation, person, false), LASTS),
    )
    if (!before.includes(person)) byConversation.set(conversation, [...before, person])
  }

  function clear(): void {
    for (const timer of timers.values()) clearTimeout(timer)
    timers.clear()
    byConversation.clear()
  }

  return { in: (conversation: string): readonly string[] => byConversation.get(conversation) ?? [], set, clear }
})
