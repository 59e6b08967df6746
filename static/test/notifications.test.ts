/** Notices of the inbox, muting, and what the service worker does with a push. */

import type { Entry } from '@vouch/realtime'
import { describe, expect, it, vi } from 'vitest'

import { listed, noticeOf, targetOf, type Notice } from '../src/notifications/centre'
import { chosen, levelNow } from '../src/notifications/mute'
import { clicked, contentOf, listenForPushes, pushed, wordsOf, type PushContent, type PushScope } from '../src/worker/push'

const ME = 'p_me'

function entry(seq: number, kind: string, body: Record<string, unknown>): Entry {
  return { seq, n: seq, at: seq * 1_000, by: 'system', id: `e${seq}`, kind, body }
}

function notice(seq: number, kind: string, body: Record<string, unknown>): Notice {
  const found = noticeOf(entry(seq, kind, body), ME)
  if (!found) throw new Error('no notice')
  return found
}

describe('the centre', () => {
  it('lists what concerns the person, and neither their own doings nor what only says that something changed', () => {
    expect(noticeOf(entry(1, 'profile_changed', { person: 'p_a' }), ME)).toBeNull()
    expect(noticeOf(entry(1, 'friend_accepted', { person: 'p_a', by: ME }), ME)).toBeNull()
    expect(noticeOf(entry(1, 'friend_requested', { person: 'p_a', by: 'p_a' }), ME)).toMatchObject({ by: 'p_a', conversation: null })
    expect(notice(2, 'mentioned', { conversation: 'c_1', seq: 7, by: 'p_a' })).toMatchObject({ by: 'p_a', conversation: 'c_1', message: 7 })
  })

  it('gathers the reactions to one message on one day, the newest first', () => {
    const reaction = (seq: number, by: string, message = 7): Notice => notice(seq, 'reacted', { conversation: 'c_1', seq: message, by })
    const lines = listed([reaction(1, 'p_a'), reaction(2, 'p_b'), reaction(3, 'p_a'), reaction(4, 'p_c', 8), notice(5, 'mentioned', { conversation: 'c_1', seq: 9, by: 'p_a' })], () => 'today')
    expect(lines.map((line) => [line.seq, line.by, line.others])).toEqual([
      [5, 'p_a', []],
      [4, 'p_c', []],
      [3, 'p_a', ['p_b']],
    ])
    expect(listed([reaction(1, 'p_a'), reaction(2, 'p_b')], (at) => String(at))).toHaveLength(2)
  })

  it('leads to the message, the chat or the person', () => {
    expect(targetOf(notice(1, 'answered', { conversation: 'c_1', seq: 7, by: 'p_a' }))).toBe('/chats/c_1?at=7')
    expect(targetOf(notice(1, 'conversation_added', { conversation: 'c_1', by: 'p_a' }))).toBe('/chats/c_1')
    expect(targetOf(notice(1, 'friend_requested', { person: 'p_a', by: 'p_a' }))).toBe('/people/p_a')
    expect(targetOf(notice(1, 'moderated', { done: 'warn', reason: 'spam' }))).toBeNull()
  })
})

describe('muting', () => {
  it('ends by itself', () => {
    const hour = chosen('hour', 1_000)
    expect(hour).toEqual({ level: 'none', until: 3_601_000 })
    expect(levelNow(hour, 3_600_999)).toBe('none')
    expect(levelNow(hour, 3_601_000)).toBe('all')
    expect(levelNow(chosen('mentions', 0), Number.MAX_SAFE_INTEGER)).toBe('mentions')
    expect(levelNow({}, 0)).toBe('all')
    expect(levelNow(undefined, 0)).toBe('all')
  })
})

const CONTENT: PushContent = { url: '/chats/c_1?at=7', tag: 'conv:c_1', badge: 3, language: 'en' }

interface Shown {
  readonly title: string
  readonly options: NotificationOptions
}

function world(windows: { visibilityState: string; focused?: boolean; focus?: () => Promise<unknown> }[] = []) {
  const shown: Shown[] = []
  const opened: string[] = []
  const told: unknown[] = []
  const listeners = new Map<string, (event: never) => void>()
  const setAppBadge = vi.fn(async () => undefined)
  const clearAppBadge = vi.fn(async () => undefined)
  const scope: PushScope = {
    location: { origin: 'https://vouch.example' },
    navigator: { setAppBadge, clearAppBadge },
    registration: { showNotification: async (title, options) => void shown.push({ title, options }) },
    clients: {
      matchAll: async () => windows.map((each) => ({ focused: false, focus: async () => undefined, postMessage: (message: unknown) => void told.push(message), ...each })),
      openWindow: async (url) => void opened.push(url),
    },
    addEventListener: (name, listener) => void listeners.set(name, listener),
  }
  return { scope, shown, opened, told, listeners, setAppBadge, clearAppBadge }
}

describe('a push', () => {
  it('says who wrote what, in the language of the person, and nothing where nothing was sent', () => {
    expect(wordsOf(CONTENT)).toEqual({ title: 'Vouch', body: 'New message' })
    expect(wordsOf({ ...CONTENT, language: 'zh-CN' })).toEqual({ title: '守约', body: '你有新消息' })
    expect(wordsOf({ ...CONTENT, title: 'Ada', body: 'Hello' })).toEqual({ title: 'Ada', body: 'Hello' })
    expect(wordsOf({ ...CONTENT, title: 'Tea', from: 'Ada', body: 'Hello' })).toEqual({ title: 'Tea', body: 'Ada: Hello' })
    expect(wordsOf({ ...CONTENT, title: 'Ada', media: 'picture', count: 2 }).body).toBe('2 pictures')
    expect(wordsOf({ ...CONTENT, title: 'Ada', media: 'voice', count: 1 }).body).toBe('Voice message')
    expect(wordsOf({ ...CONTENT, title: 'Ada', media: 'smell', count: 1 }).body).toBe('New message')
  })

  it('of a call says who rings, stays until somebody answers, and can be answered where it is shown', async () => {
    const ring: PushContent = { url: '/calls/cl_1', tag: 'call:cl_1', badge: 0, language: 'en', call: 'ring', title: 'Tea', from: 'Ada', video: true }
    const { scope, shown } = world()
    await pushed(scope, ring)
    expect(shown[0]).toMatchObject({ title: 'Ada is calling with video', options: { body: 'Tea', tag: 'call:cl_1', requireInteraction: true, actions: [{ action: 'answer', title: 'Answer' }, { action: 'decline', title: 'Decline' }] } })
    expect(wordsOf({ url: ring.url, tag: ring.tag, badge: 0, language: 'zh-CN', call: 'ring' })).toEqual({ title: '有人呼叫你', body: '' })
    expect(wordsOf({ ...ring, call: 'missed', title: 'Ada' }).title).toBe('Missed call from Ada')
    expect(wordsOf({ ...ring, title: 'Ada' })).toEqual({ title: 'Ada is calling with video', body: '' })
  })

  it('of a call that rings no more takes the ring away and shows nothing', async () => {
    const { scope, shown } = world()
    const close = vi.fn()
    const getNotifications = vi.fn(async () => [{ close }])
    await pushed({ ...scope, registration: { ...scope.registration, getNotifications } }, { url: '/calls/cl_1', tag: 'call:cl_1', badge: 0, language: 'en', call: 'over' })
    expect(getNotifications).toHaveBeenCalledWith({ tag: 'call:cl_1' })
    expect(close).toHaveBeenCalled()
    expect(shown).toEqual([])
  })

  it('of a call opens its page, which is told of a decline and joins nothing', async () => {
    const { scope, opened } = world()
    await clicked(scope, { url: '/calls/cl_1' }, 'answer')
    await clicked(scope, { url: '/calls/cl_1' }, 'decline')
    await clicked(scope, { url: '/chats/c_1' }, 'decline')
    expect(opened.map((url) => url.slice(url.indexOf('/', 8)))).toEqual(['/calls/cl_1', '/calls/cl_1?decline=1', '/chats/c_1'])
  })

  it('is shown under the tag of its conversation while nobody looks', async () => {
    const { scope, shown, setAppBadge } = world([{ visibilityState: 'hidden' }])
    await pushed(scope, { ...CONTENT, title: 'Ada', body: 'Hello' })
    expect(shown).toHaveLength(1)
    expect(shown[0]).toMatchObject({ title: 'Ada', options: { body: 'Hello', tag: 'conv:c_1', lang: 'en', data: { url: CONTENT.url } } })
    expect(setAppBadge).toHaveBeenCalledWith(3)
  })

  it('only moves the number on the icon while somebody looks', async () => {
    const { scope, shown, clearAppBadge } = world([{ visibilityState: 'visible' }])
    await pushed(scope, { ...CONTENT, badge: 0 })
    expect(shown).toEqual([])
    expect(clearAppBadge).toHaveBeenCalled()
  })

  it.each([null, 'text', 7, {}, { url: 'https://elsewhere.example', tag: 'x' }, { url: '//elsewhere', tag: 'x' }, { url: '/chats/../api', tag: 'x' }, { url: '/chats/c_1' }])('that is not ours is nothing: %j', async (data) => {
    const { scope, shown } = world()
    await pushed(scope, data)
    expect(contentOf(data)).toBeNull()
    expect(shown).toEqual([])
  })

  it('is shown also where the icon takes no number', async () => {
    const { scope, shown, setAppBadge } = world()
    setAppBadge.mockRejectedValueOnce(new Error('not installed'))
    await pushed(scope, CONTENT)
    expect(shown).toHaveLength(1)
  })
})

describe('a click on a notification', () => {
  it('opens the conversation in a window that is there, or in a new one', async () => {
    const there = world([{ visibilityState: 'hidden' }, { visibilityState: 'visible', focused: true, focus: () => Promise.reject(new Error('not allowed')) }])
    await clicked(there.scope, { url: CONTENT.url })
    expect(there.told).toEqual([{ type: 'vouch-open', url: CONTENT.url }])
    const none = world()
    await clicked(none.scope, { url: CONTENT.url })
    expect(none.opened).toEqual(['https://vouch.example/chats/c_1?at=7'])
    await clicked(none.scope, { url: '//elsewhere.example' })
    expect(none.opened).toHaveLength(1)
  })

  it('closes it', async () => {
    const { scope, listeners, opened } = world()
    listenForPushes(scope)
    const close = vi.fn()
    const work: Promise<unknown>[] = []
    listeners.get('notificationclick')?.({ notification: { data: { url: CONTENT.url }, close }, waitUntil: (each: Promise<unknown>) => work.push(each) } as never)
    await Promise.all(work)
    expect(close).toHaveBeenCalled()
    expect(opened).toHaveLength(1)
    listeners.get('push')?.({ data: { json: () => { throw new SyntaxError('no JSON') } }, waitUntil: (each: Promise<unknown>) => work.push(each) } as never)
    await Promise.all(work)
  })
})
