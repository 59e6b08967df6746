/** Cards of everybody whose name is shown, and the own friends. */

import { defineStore } from 'pinia'
import { computed, ref, shallowReactive, shallowRef } from 'vue'

import { api } from '../api'
import type { FindPersonRequest, Friends, PersonCard, PersonView } from '../api/types'
import { translate } from '../i18n'
import { useSession } from './session'

/** As many cards as one request may ask for. */
const CARDS_AT_ONCE = 200

export const usePeople = defineStore('people', () => {
  const session = useSession()
  const cards = shallowReactive(new Map<string, PersonCard>())
  const friends = shallowRef<Friends | null>(null)
  const fault = ref<unknown>(null)
  const loading = ref(false)
  const wanted = new Set<string>()
  const asked = new Set<string>()
  /** Requests for the friends: how many were sent, and which one was answered last. */
  let asking = 0
  let answered = 0

  const collator = new Intl.Collator(['zh-CN', 'en'], { sensitivity: 'base', numeric: true })
  const sortedFriends = computed(() =>
    (friends.value?.friends.map((friend) => friend.person) ?? []).toSorted((a, b) => collator.compare(a.name, b.name)),
  )
  const friendIds = computed(() => new Set(sortedFriends.value.map((person) => person.id)))
  const requestCount = computed(() => friends.value?.incoming.length ?? 0)

  function learn(people: Iterable<PersonCard>): void {
    for (const person of people) cards.set(person.id, person)
  }

  async function fetchCards(): Promise<void> {
    const ids = [...wanted].slice(0, CARDS_AT_ONCE)
    ids.forEach((id) => wanted.delete(id))
    if (ids.length === 0) return
    try {
      learn((await api.cards(ids)).people)
    } catch {
      ids.forEach((id) => asked.delete(id)) // asked again when somebody looks again
    }
  }

  /** Makes sure that these names are known soon; those that the server does not tell are asked for only once. */
  function need(ids: Iterable<string>): void {
    let more = false
    for (const id of ids) {
      if (cards.has(id) || asked.has(id) || id === 'system' || id === '') continue
      asked.add(id)
      wanted.add(id)
      more = true
    }
    if (more) queueMicrotask(() => void fetchCards())
  }

  function card(id: string): PersonCard | undefined {
    return session.me?.id === id ? session.me : cards.get(id)
  }

  /** A name to show; accounts that were deleted have none of their own. */
  function nameOf(id: string): string {
    return card(id)?.name || translate('common.deletedPerson')
  }

  async function load(): Promise<void> {
    loading.value = true
    const me = session.me?.id
    const round = (asking += 1)
    try {
      const fresh = await api.friends()
      // An answer that was overtaken by a later one is older than what is shown; one for somebody else is none.
      if (session.me?.id !== me || round < answered) return
      answered = round
      friends.value = fresh
      fault.value = null
      learn(fresh.friends.map((friend) => friend.person))
      learn(fresh.incoming.map((request) => request.person))
      learn(fresh.outgoing.map((request) => request.person))
      learn(fresh.blocked)
      session.shelf().write('friends', fresh)
    } catch (error) {
      if (session.me?.id === me && round === asking) fault.value = error
    } finally {
      if (round === asking) loading.value = false
    }
  }

  /** What this device knows from before, until the server has answered. */
  function restore(): void {
    const known = session.shelf().read<Friends>('friends')
    if (!known || friends.value) return
    friends.value = known
    learn([...known.friends, ...known.incoming, ...known.outgoing].map((each) => each.person))
  }

  /** Runs an action of friendship and shows its effect. */
  async function act(action: () => Promise<PersonView | undefined>): Promise<PersonView | undefined> {
    const view = await action()
    if (view) learn([view])
    await load()
    return view
  }

  /** Cards may have changed (a name, a picture): ask again for those in use. */
  function forgetCard(id: string): void {
    asked.delete(id)
    wanted.add(id)
    queueMicrotask(() => void fetchCards())
  }

  function clear(): void {
    cards.clear()
    wanted.clear()
    asked.clear()
    friends.value = null
    fault.value = null
    loading.value = false
  }

  return {
    cards,
    friends,
    fault,
    loading,
    sortedFriends,
    friendIds,
    requestCount,
    learn,
    need,
    card,
    nameOf,
    load,
    restore,
    clear,
    forgetCard,
    find: (by: FindPersonRequest) => api.findPerson(by),
    view: (id: string) => api.person(id),
    request: (id: string, note: string) => act(() => api.requestFriend(id, note)),
    withdraw: (id: string) => act(async () => void (await api.withdrawRequest(id))),
    accept: (id: string) => act(() => api.acceptFriend(id)),
    decline: (id: string) => act(async () => void (await api.declineFriend(id))),
    remove: (id: string) => act(async () => void (await api.removeFriend(id))),
    block: (id: string) => act(() => api.block(id)),
    unblock: (id: string) => act(() => api.unblock(id)),
  }
})
