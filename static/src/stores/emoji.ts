/** Which emoji somebody used lately, and the skin tone they chose. Kept on this device, goes with the sign-out. */

import { defineStore } from 'pinia'
import { ref, watch } from 'vue'

import { AT_HAND, TONES, type Tone } from '../chat/emoji'
import { useSession } from './session'

const RECENT = 'emoji.recent'
const TONE = 'emoji.tone'
const KEPT = 24

export const useEmoji = defineStore('emoji', () => {
  const session = useSession()
  const recent = ref<readonly string[]>([])
  const tone = ref<Tone>('plain')

  // Another person, another shelf.
  watch(
    () => session.me?.id,
    (me) => {
      const stored = me === undefined ? null : session.shelf().read<unknown>(RECENT)
      recent.value = Array.isArray(stored) ? stored.filter((each): each is string => typeof each === 'string') : []
      const chosen = me === undefined ? null : session.shelf().read<Tone>(TONE)
      tone.value = chosen !== null && TONES.includes(chosen) ? chosen : 'plain'
    },
    { immediate: true },
  )

  function use(emoji: string): void {
    recent.value = [emoji, ...recent.value.filter((each) => each !== emoji)].slice(0, KEPT)
    if (session.status === 'in') session.shelf().write(RECENT, recent.value)
  }

  function choose(chosen: Tone): void {
    tone.value = chosen
    if (session.status === 'in') session.shelf().write(TONE, chosen)
  }

  return { recent, tone, use, choose, atHand: AT_HAND }
})
