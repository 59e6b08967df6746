/** What is looked for, with which filters, and what was found. One search at a time: the next waits for the answer. */

import { defineStore } from 'pinia'
import { computed, ref, shallowRef, watch } from 'vue'
import type { LocationQuery, LocationQueryRaw } from 'vue-router'

import { api, type SearchWishes } from '../api'
import { Fault } from '../api/fault'
import type { Hit, SearchKind } from '../api/types'
import { language } from '../preferences'
import { startOfDay, dayAfter } from '../times'
import { usePeople } from './people'
import { useSession } from './session'

export const SEARCH_KINDS: readonly SearchKind[] = ['picture', 'video', 'voice', 'file', 'link', 'text']

/** Days are YYYY-MM-DD in the reader's time zone, both included. */
export interface SearchFilters {
  readonly conversation: string | null
  readonly person: string | null
  readonly kind: SearchKind | null
  readonly from: string | null
  readonly to: string | null
}

export const NO_FILTERS: SearchFilters = { conversation: null, person: null, kind: null, from: null, to: null }

/** Milliseconds without a key before the server is asked. */
const PAUSE = 220
/** Seconds of waiting that are not worth a word. */
const SHORT = 3

const DAY = /^\d{4}-\d{2}-\d{2}$/

export const useSearch = defineStore('search', () => {
  const session = useSession()
  const people = usePeople()

  const query = ref('')
  const filters = shallowRef<SearchFilters>(NO_FILTERS)
  const hits = shallowRef<readonly Hit[]>([])
  const next = ref<string | null>(null)
  /** The newest messages may be missing. */
  const behind = ref(false)
  const fault = ref<unknown>(null)
  const loading = ref(false)
  const loadingMore = ref(false)
  /** What `hits` answer; null: nothing has been answered. */
  const answered = ref<string | null>(null)
  /** Counts how often the field is to be focused. */
  const focus = ref(0)
  let timer: ReturnType<typeof setTimeout> | undefined
  let busy = false

  const filtered = computed(() => Object.values(filters.value).some((value) => value !== null))
  /** Somebody looks for something: the list shows what was found instead of the chats. */
  const active = computed(() => query.value.trim() !== '' || filtered.value)
  /** There is enough to ask for. */
  const askable = computed(() => query.value.trim() !== '' || filters.value.person !== null || filters.value.kind !== null)
  const wishes = computed<SearchWishes>(() => {
    const { conversation, person, kind, from, to } = filters.value
    const clock = { language: language.value, zone: session.zone }
    return {
      q: query.value.trimStart(),
      conversation,
      person,
      kind,
      from: from === null ? null : startOfDay(from, clock),
      to: to === null ? null : startOfDay(dayAfter(to), clock),
    }
  })
  const key = computed(() => JSON.stringify(wishes.value))
  const fresh = computed(() => answered.value === key.value)

  function show(page: { hits: readonly Hit[]; next: string | null; behind: boolean }, before: readonly Hit[]): void {
    hits.value = [...before, ...page.hits]
    next.value = page.next
    behind.value = page.behind
    people.need(page.hits.map((hit) => hit.entry.by))
  }

  /** Asks for what is wanted now; while an answer is on its way, the question after it waits. */
  async function ask(): Promise<void> {
    clearTimeout(timer)
    if (busy || !askable.value) return
    busy = true
    loading.value = true
    const asked = key.value
    const me = session.me?.id
    try {
      const page = await api.search(wishes.value, null)
      if (asked === key.value && session.me?.id === me) {
        show(page, [])
        answered.value = asked
        fault.value = null
      }
    } catch (error) {
      if (asked === key.value) {
        const wait = error instanceof Fault && error.code === 'too_often' ? (error.retryAfter ?? SHORT) : Infinity
        if (wait <= SHORT) timer = setTimeout(() => void ask(), wait * 1000)
        else fault.value = error
      }
    } finally {
      busy = false
      loading.value = false
      if (asked !== key.value) void ask()
    }
  }

  async function more(): Promise<void> {
    if (busy || next.value === null || !fresh.value) return
    busy = true
    loadingMore.value = true
    const asked = key.value
    try {
      const page = await api.search(wishes.value, next.value)
      if (asked === key.value) show(page, hits.value)
    } catch (error) {
      if (asked === key.value) fault.value = error
    } finally {
      busy = false
      loadingMore.value = false
      if (asked !== key.value) void ask()
    }
  }

  function forgetHits(): void {
    hits.value = []
    next.value = null
    behind.value = false
    answered.value = null
    fault.value = null
  }

  watch(key, () => {
    fault.value = null
    clearTimeout(timer)
    if (askable.value) timer = setTimeout(() => void ask(), PAUSE)
    else forgetHits()
  })

  function filter(change: Partial<SearchFilters>): void {
    filters.value = { ...filters.value, ...change }
  }

  function clear(): void {
    clearTimeout(timer)
    query.value = ''
    filters.value = NO_FILTERS
    forgetHits()
  }

  // ── The address of the search page keeps all of it ────────────────────────────────────────────────────────────────

  const address = computed<LocationQueryRaw>(() => {
    const { conversation, person, kind, from, to } = filters.value
    const all = { q: query.value.trim() || null, in: conversation, by: person, kind, from, to }
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null))
  })

  function follow(from: LocationQuery): void {
    const one = (name: string): string | null => (typeof from[name] === 'string' ? from[name] : null)
    const day = (name: string): string | null => (DAY.test(one(name) ?? '') ? one(name) : null)
    const kind = SEARCH_KINDS.find((each) => each === one('kind')) ?? null
    if ((one('q') ?? '') !== query.value.trim()) query.value = one('q') ?? ''
    const wanted = { conversation: one('in'), person: one('by'), kind, from: day('from'), to: day('to') }
    if (JSON.stringify(wanted) !== JSON.stringify(filters.value)) filters.value = wanted
  }

  return { query, filters, hits, next, behind, fault, loading, loadingMore, fresh, focus, filtered, active, askable, address, ask, more, filter, follow, clear }
})
