/** What was begun and not sent, per conversation (or thread of one); survives a reload, goes with the sign-out. */

import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'

import { useSession } from './session'

const START = 'draft.'

export interface Draft {
  readonly text: string
  /** The message that is answered. */
  readonly reply: number | null
  /** The own message that is being edited, and its words so far. */
  readonly edit: { readonly seq: number; readonly text: string } | null
}

export const NO_DRAFT: Draft = { text: '', reply: null, edit: null }

/** What was stored, by this version or an earlier one that knew only texts. */
function draftFrom(stored: unknown): Draft {
  if (typeof stored === 'string') return { ...NO_DRAFT, text: stored }
  return stored !== null && typeof stored === 'object' ? { ...NO_DRAFT, ...stored } : NO_DRAFT
}

const isEmpty = (draft: Draft): boolean => draft.text.trim() === '' && draft.reply === null && draft.edit === null

export const useDrafts = defineStore('drafts', () => {
  const session = useSession()
  const byPlace = shallowReactive(new Map<string, Draft>())

  function restore(): void {
    const shelf = session.shelf()
    for (const name of shelf.names(START)) {
      const draft = draftFrom(shelf.read<unknown>(name))
      if (!isEmpty(draft)) byPlace.set(name.slice(START.length), draft)
    }
  }

  const of = (place: string): Draft => byPlace.get(place) ?? NO_DRAFT

  function change(place: string, changed: Partial<Draft>): void {
    if (session.status !== 'in') return
    const draft = { ...of(place), ...changed }
    if (isEmpty(draft)) {
      byPlace.delete(place)
      session.shelf().remove(START + place)
    } else {
      byPlace.set(place, draft)
      session.shelf().write(START + place, draft)
    }
  }

  return { of, get: (place: string): string => of(place).text, change, restore, clear: () => byPlace.clear() }
})
