/** What was chosen to be sent and was not sent yet, per place of writing. Lives as long as the page. */

import { showToast } from '@vouch/ui'
import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'

import type { UploadLimits } from '../api/types'
import { durationOf, sizeOf } from '../chat/media'
import type { Chosen } from '../chat/parcel'
import { translate } from '../i18n'
import { pickOf, switched, type Pick } from '../media/picks'
import { language } from '../preferences'
import { useUploads } from './uploads'

/** So many things one message carries (MOST_PER_MESSAGE of the server). */
export const MOST = 10

const NONE: readonly Pick[] = []

/** Why this cannot be sent, in words; empty when it can. */
function objection({ name, kind, size, seconds }: Chosen, limits: UploadLimits | null): string {
  if (size === 0) return translate('media.empty', { name })
  const most = limits?.kinds.find((each) => each.kind === kind)
  if (most && size > most.size) return translate('media.tooLarge', { name, size: sizeOf(most.size, language.value) })
  if (most?.seconds && seconds > most.seconds + 1) return translate('media.tooLong', { name, time: durationOf(most.seconds) })
  if (limits && limits.used + size > limits.quota) return translate('media.noRoom', { size: sizeOf(Math.max(0, limits.quota - limits.used), language.value) })
  return ''
}

export const useTrays = defineStore('trays', () => {
  const uploads = useUploads()
  const byPlace = shallowReactive(new Map<string, readonly Pick[]>())
  /** Files that are being looked at, per place. */
  const preparing = shallowReactive(new Map<string, number>())
  /** The end of what is looked at last, per place: a small picture must not overtake a large one. */
  const turns = new Map<string, Promise<void>>()

  const of = (place: string): readonly Pick[] => byPlace.get(place) ?? NONE

  function set(place: string, picks: readonly Pick[]): void {
    if (picks.length > 0) byPlace.set(place, picks)
    else byPlace.delete(place)
  }

  /** `whole`: as files, whatever they are. */
  async function add(place: string, files: readonly File[], whole = false): Promise<void> {
    const room = MOST - of(place).length - (preparing.get(place) ?? 0)
    const taken = files.slice(0, Math.max(0, room))
    if (taken.length < files.length) showToast(translate('media.tooMany', {}, MOST), 'wrong')
    if (taken.length === 0) return
    preparing.set(place, (preparing.get(place) ?? 0) + taken.length)
    const before = turns.get(place)?.catch(() => undefined)
    const turn = Promise.resolve(before).then(() => put(place, taken, whole))
    turns.set(place, turn)
    await turn
  }

  async function put(place: string, taken: readonly File[], whole: boolean): Promise<void> {
    const limits = await uploads.needLimits()
    for (const file of taken) {
      let pick: Pick
      try {
        pick = await pickOf(file, whole)
      } finally {
        // In one step with what follows: who waits for the last one sends what stands in the tray then.
        preparing.set(place, (preparing.get(place) ?? 1) - 1)
      }
      const words = objection(pick.chosen, limits)
      if (words === '') set(place, [...of(place), pick])
      else {
        drop(pick)
        showToast(words, 'wrong')
      }
    }
  }

  function drop(pick: Pick): void {
    if (pick.preview !== null) URL.revokeObjectURL(pick.preview)
  }

  function remove(place: string, id: string): void {
    of(place).filter(({ chosen }) => chosen.id === id).forEach(drop)
    set(place, of(place).filter(({ chosen }) => chosen.id !== id))
  }

  /** Puts a thing where another one stands. */
  function move(place: string, id: string, to: number): void {
    const picks = [...of(place)]
    const from = picks.findIndex(({ chosen }) => chosen.id === id)
    const [pick] = from < 0 ? [] : picks.splice(from, 1)
    if (!pick) return
    picks.splice(Math.max(0, Math.min(to, picks.length)), 0, pick)
    set(place, picks)
  }

  /** As a file instead of a picture, and back. */
  async function change(place: string, id: string): Promise<void> {
    const before = of(place).find(({ chosen }) => chosen.id === id)
    if (!before) return
    const after = await switched(before)
    set(place, of(place).map((pick) => (pick === before ? after : pick)))
  }

  /** All of it, to be sent. */
  function take(place: string): readonly Pick[] {
    const picks = of(place)
    byPlace.delete(place)
    return picks
  }

  function clear(): void {
    for (const picks of byPlace.values()) picks.forEach(drop)
    byPlace.clear()
    preparing.clear()
    turns.clear()
  }

  return { of, add, remove, move, change, take, clear, isPreparing: (place: string) => (preparing.get(place) ?? 0) > 0 }
})
