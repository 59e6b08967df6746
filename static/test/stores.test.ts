/** What happens when answers, live entries and sign-outs cross each other. */

import type { ChannelEvents, ChannelInfo, Entry, RealtimeEvents } from '@vouch/realtime'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'

import type { Conversation, Friends, Me } from '../src/api/types'

/** The realtime client, played by hand. */
class Room {
  readonly ch: string
  readonly opened: (number | undefined)[] = []
  readonly moved: object[] = []
  pending = []
  readonly #listeners = new Map<string, ((...values: never[]) => void)[]>()

  constructor(ch: string) {
    this.ch = ch
  }

  on<Name extends keyof ChannelEvents>(name: Name, listener: (...values: ChannelEvents[Name]) => void): void {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener as never])
  }

  emit<Name extends keyof ChannelEvents>(name: Name, ...values: ChannelEvents[Name]): void {
    for (const listener of this.#listeners.get(name) ?? []) listener(...(values as unknown as never[]))
  }

  open(options: { after?: number } = {}): this {
    this.opened.push(options.after)
    return this
  }

  position(place: object): void {
    this.moved.push(place)
  }

  release(): void {
    rooms.delete(this.ch)
  }
}

const rooms = new Map<string, Room>()
let realtimeOptions: { person: string; epoch?: string } | null = null
const news = new Map<string, (...values: never[]) => void>()

function tell<Name extends keyof RealtimeEvents>(name: Name, ...values: RealtimeEvents[Name]): void {
  news.get(name)?.(...(values as unknown as never[]))
}

vi.mock('@vouch/realtime', async (original) => ({
  ...(await original<typeof import('@vouch/realtime')>()),
  createRealtime: (options: { person: string; epoch?: string }) => {
    realtimeOptions = options
    return {
      epoch: 'e2',
      pendingCount: 0,
      on: (name: string, listener: (...values: never[]) => void) => news.set(name, listener),
      connect: () => undefined,
      close: () => undefined,
      forget: () => Promise.resolve(),
      channel: (ch: string) => {
        const room = new Room(ch)
        rooms.set(ch, room)
        return room
      },
    }
  },
}))

/** Calls of the API wait here until the test answers them. */
const calls: { name: string; answer: (value: unknown) => void; fail: (fault: unknown) => void }[] = []

vi.mock('../src/api', () => ({
  api: new Proxy(
    {},
    {
      get: (_, name: string) => () =>
        new Promise((answer, fail) => {
          calls.push({ name, answer, fail })
        }),
    },
  ),
}))

const { useConversations } = await import('../src/stores/conversations')
const { useLifetime } = await import('../src/stores/lifetime')
const { usePeople } = await import('../src/stores/people')
const { useSession } = await import('../src/stores/session')
const { useTimelines } = await import('../src/stores/timelines')

const LIN = { id: 'p_lin', handle: 'lin', name: 'Lin', language: 'en', time_zone: 'UTC' } as Me
const MEI = { ...LIN, id: 'p_mei', handle: 'mei', name: 'Mei' }

function conversation(id: string, more: Partial<Conversation> = {}): Conversation {
  return {
    id,
    ch: `conv:${id}`,
    kind: 'group',
    title: id,
    members: [],
    people: [],
    closed: false,
    share_history: false,
    created_at: 1,
    version: 1,
    head: 5,
    n: 5,
    last: null,
    active_at: 1,
    read: 3,
    read_n: 3,
    delivered: 5,
    first: 1,
    positions: [],
    everybody_by: 'members',
    pins: [],
    mentioned: [],
    notify: { level: 'all', until: null },
    ...more,
  }
}

function friends(...names: string[]): Friends {
  const list = names.map((name) => ({ person: { id: `p_${name}`, handle: name, name, avatar: null, introduction: '' }, since: 1 }))
  return { friends: list, incoming: [], outgoing: [], blocked: [] }
}

function entry(seq: number, more: Partial<Entry> = {}): Entry {
  return { seq, n: seq, at: seq, by: 'p_mei', id: `id-${seq}`, kind: 'message', body: { text: `no. ${seq}` }, ...more }
}

const info = (more: Partial<ChannelInfo>): ChannelInfo => ({ head: 0, n: 0, first: 1, read: 0, read_n: 0, delivered: 0, write: true, signal: true, ...more })

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
}

/** Answers the oldest open call of this name. */
async function answer(name: string, value: unknown): Promise<void> {
  const at = calls.findIndex((call) => call.name === name)
  expect(at, `nobody has called ${name}`).toBeGreaterThanOrEqual(0)
  calls.splice(at, 1)[0]?.answer(value)
  await settle()
}

const open = (name: string): number => calls.filter((call) => call.name === name).length
const page = (...conversations: Conversation[]) => ({ conversations, next: null })
const ids = (): string[] => [...useConversations().byId.keys()].sort()

function signIn(me: Me): void {
  const session = useSession()
  session.me = me
  session.status = 'in'
  useLifetime().begin()
}

beforeEach(() => {
  localStorage.clear()
  rooms.clear()
  news.clear()
  calls.length = 0
  setActivePinia(createPinia())
})

describe('the list of conversations', () => {
  it('keeps a conversation that was added while the list was on its way', async () => {
    signIn(LIN)
    tell('inbox', entry(1, { kind: 'conversation_added', body: { conversation: 'c_new' } }))
    await answer('conversation', conversation('c_new'))
    await answer('conversations', page(conversation('c_old')))
    expect(ids()).toEqual(['c_new', 'c_old'])
  })

  it('forgets what it knew before and the server no longer tells', async () => {
    signIn(LIN)
    await answer('conversations', page(conversation('c_1'), conversation('c_2')))
    tell('stale', 'behind')
    await answer('conversations', page(conversation('c_2')))
    expect(ids()).toEqual(['c_2'])
    expect([...rooms.keys()]).toEqual(['inbox:p_lin', 'conv:c_2'])
  })

  it('asks once more when something became stale while it asked', async () => {
    signIn(LIN)
    tell('stale', 'start')
    tell('stale', 'behind')
    expect(open('conversations')).toBe(1)
    await answer('conversations', page())
    expect(open('conversations')).toBe(1)
    await answer('conversations', page(conversation('c_1')))
    expect(ids()).toEqual(['c_1'])
    expect(open('conversations')).toBe(0)
  })

  it('takes the numbers of a restored database though they are lower', async () => {
    signIn(LIN)
    await answer('conversations', page(conversation('c_1', { head: 90, n: 80, read: 70, read_n: 65 })))
    const room = rooms.get('conv:c_1')
    vi.useFakeTimers()
    room?.emit('reset', 'epoch')
    room?.emit('info', info({ head: 10, n: 9, read: 4, read_n: 4, delivered: 4 }))
    vi.advanceTimersByTime(200)
    vi.useRealTimers()
    await answer('conversation', conversation('c_1', { head: 10, n: 9, read: 4, read_n: 4, delivered: 4 }))
    expect(useConversations().byId.get('c_1')).toMatchObject({ head: 10, n: 9, read: 4, read_n: 4 })
    expect(useConversations().unread).toBe(5)
  })

  it('remembers the epoch beside the numbers that it remembers', async () => {
    signIn(LIN)
    expect(realtimeOptions?.epoch).toBeUndefined()
    await answer('conversations', page(conversation('c_1')))
    setActivePinia(createPinia())
    signIn(LIN)
    expect(realtimeOptions).toMatchObject({ person: 'p_lin', epoch: 'e2' })
    expect(rooms.get('conv:c_1')?.opened).toEqual([5])
  })

  it('counts what arrives, and reads what one has written oneself', async () => {
    signIn(LIN)
    await answer('conversations', page(conversation('c_1')))
    const room = rooms.get('conv:c_1')
    room?.emit('entry', entry(6))
    expect(useConversations().unread).toBe(3)
    room?.emit('entry', entry(6))
    expect(useConversations().unread).toBe(3)
    room?.emit('entry', entry(7, { by: 'p_lin' }))
    expect(useConversations().unread).toBe(0)
    expect(room?.moved).toContainEqual({ read: 7, delivered: 7 })
  })
})

describe('who is signed in', () => {
  it('gets nothing that was asked for somebody else', async () => {
    signIn(LIN)
    const late = calls.splice(0)
    await useLifetime().end('expired', false)
    signIn(MEI)
    for (const call of late) call.answer(call.name === 'conversations' ? page(conversation('c_lin')) : friends('friend_of_lin'))
    await settle()
    expect(ids()).toEqual([])
    expect(usePeople().friends).toBeNull()
    await answer('conversations', page(conversation('c_mei')))
    await answer('friends', friends('friend_of_mei'))
    expect(ids()).toEqual(['c_mei'])
    expect(usePeople().sortedFriends.map((person) => person.handle)).toEqual(['friend_of_mei'])
    expect(useConversations().loading).toBe(false)
  })

  it('leaves when the cookie belongs to somebody else, and keeps what is unsent', async () => {
    signIn(LIN)
    tell('state', 'ended', { reason: 'Somebody else has signed in.' })
    await settle()
    expect(useSession().status).toBe('out')
    expect(useSession().reason).toBe('expired')
  })
})

describe('friends', () => {
  it('shows the newest answer, whichever comes last', async () => {
    signIn(LIN)
    tell('inbox', entry(1, { kind: 'friend_accepted', body: { person: 'p_x', by: 'p_x' } }))
    const asked = calls.filter((call) => call.name === 'friends')
    expect(asked).toHaveLength(2)
    asked[1]?.answer(friends('mei', 'wei'))
    await settle()
    asked[0]?.answer(friends('mei'))
    await settle()
    expect(usePeople().sortedFriends).toHaveLength(2)
    expect(usePeople().loading).toBe(false)
  })
})

describe('a timeline', () => {
  function pages() {
    const asked: ((page: object) => void)[] = []
    const load = () => new Promise<never>((resolve) => asked.push(resolve as never))
    return { asked, load }
  }

  it('puts live entries behind the page that was on its way', async () => {
    const timelines = useTimelines()
    const { asked, load } = pages()
    void timelines.open('c_1', load, 50)
    timelines.entry('c_1', entry(3))
    timelines.entry('c_1', entry(4))
    asked[0]?.({ head: 3, n: 3, entries: [entry(1), entry(2), entry(3)] })
    await settle()
    expect(timelines.get('c_1').snapshot.items.map((item) => item.seq)).toEqual([1, 2, 3, 4])
  })

  it('does not lose a change of an entry whose page is on its way', async () => {
    const timelines = useTimelines()
    const { asked, load } = pages()
    void timelines.open('c_1', load, 1)
    asked[0]?.({ head: 3, n: 3, entries: [entry(3)] })
    await settle()
    void timelines.loadEarlier('c_1', 1)
    timelines.entry('c_1', entry(4, { kind: 'edit', ref: 1, body: { text: 'edited' }, n: 3 }))
    timelines.entry('c_1', entry(5, { kind: 'delete', ref: 2, body: {}, n: 3 }))
    asked[1]?.({ head: 3, n: 3, entries: [entry(1), entry(2)] })
    await settle()
    expect(timelines.get('c_1').snapshot.items).toMatchObject([
      { seq: 1, text: 'edited', edit: 4 },
      { seq: 2, text: '', gone: true },
      { seq: 3, text: 'no. 3' },
    ])
  })

  it('throws away pages from before a reset', async () => {
    const timelines = useTimelines()
    const { asked, load } = pages()
    void timelines.open('c_1', load, 50)
    timelines.reset('c_1')
    asked[0]?.({ head: 90, n: 90, entries: [entry(90)] })
    await settle()
    expect(timelines.get('c_1').state).toBe('loading')
    asked[1]?.({ head: 2, n: 2, entries: [entry(1), entry(2)] })
    await settle()
    expect(timelines.get('c_1').snapshot).toMatchObject({ low: 1, high: 2 })
  })

  it('loads anew when an entry leaves a hole', async () => {
    const timelines = useTimelines()
    const { asked, load } = pages()
    void timelines.open('c_1', load, 50)
    asked[0]?.({ head: 1, n: 1, entries: [entry(1)] })
    await settle()
    timelines.entry('c_1', entry(7))
    asked[1]?.({ head: 7, n: 7, entries: [entry(6), entry(7)] })
    await settle()
    expect(timelines.get('c_1').snapshot).toMatchObject({ low: 6, high: 7 })
  })
})
