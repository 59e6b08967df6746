/** Pushes in the service worker: shows them, opens what was clicked. Knows nothing of the page but its address. */

import callEn from '../locales/en/call-news'
import en from '../locales/en/notifications'
import newsEn from '../locales/en/pledge-news'
import callZhCN from '../locales/zh-CN/call-news'
import zhCN from '../locales/zh-CN/notifications'
import newsZhCN from '../locales/zh-CN/pledge-news'
import { pledgeSentence } from '../notifications/pledges'

/** What the server sends. Without previews there is neither title nor words. */
export interface PushContent {
  readonly url: string
  readonly tag: string
  readonly badge: number
  readonly language: string
  readonly title?: string
  readonly from?: string
  readonly body?: string
  readonly media?: string
  readonly count?: number
  /** What has happened to a pledge, whose title `title` is. */
  readonly pledge?: string
  /** A call: it rings, it is over, or nobody came. */
  readonly call?: CallPush
  readonly video?: boolean
}

/** `ring`: answer or decline; `over`: it rings no more; `missed`: nobody came. */
type CallPush = 'ring' | 'over' | 'missed'

/** As the standard has them, and TypeScript's own types have not. */
interface ShownOptions extends NotificationOptions {
  readonly renotify?: boolean
  readonly vibrate?: readonly number[]
  readonly actions?: readonly { readonly action: string; readonly title: string }[]
}

/** What the page is told when a notification was clicked. */
export interface OpenMessage {
  readonly type: 'vouch-open'
  readonly url: string
}

interface Window {
  readonly visibilityState: string
  readonly focused: boolean
  focus(): Promise<unknown>
  postMessage(message: OpenMessage): void
}

/** As much of a service worker as is used here (its types cannot live beside those of pages). */
export interface PushScope {
  readonly location: { readonly origin: string }
  readonly navigator: { setAppBadge?(count: number): Promise<void>; clearAppBadge?(): Promise<void> }
  readonly registration: {
    showNotification(title: string, options: ShownOptions): Promise<void>
    getNotifications?(filter: { tag: string }): Promise<readonly { close(): void }[]>
  }
  readonly clients: {
    matchAll(options: { type: 'window'; includeUncontrolled: boolean }): Promise<readonly Window[]>
    openWindow(url: string): Promise<unknown>
  }
  addEventListener(name: 'push' | 'notificationclick', listener: (event: never) => void): void
}

interface PushEvent {
  readonly data: { json(): unknown } | null
  waitUntil(work: Promise<unknown>): void
}

interface ClickEvent {
  readonly notification: { readonly data: unknown; close(): void }
  /** Which of its buttons was pressed; empty: none of them. */
  readonly action?: string
  waitUntil(work: Promise<unknown>): void
}

const SHORT = { picture: ['picture', 'pictures'], voice: ['voice', 'voice'], video: ['video', 'videos'], file: ['file', 'files'] } as const

function isMedia(kind: string): kind is keyof typeof SHORT {
  return kind in SHORT
}

/** Null for what is not ours. */
export function contentOf(data: unknown): PushContent | null {
  if (typeof data !== 'object' || data === null) return null
  const { url, tag } = data as Partial<PushContent>
  return typeof url === 'string' && /^\/(chats|pledges|calls)\/[\w?=&-]+$/.test(url) && typeof tag === 'string' ? (data as PushContent) : null
}

/** Title and words of the notification. */
export function wordsOf(content: PushContent): { title: string; body: string } {
  const chinese = content.language === 'zh-CN'
  const { push } = chinese ? zhCN : en
  const news = chinese ? newsZhCN : newsEn
  if (content.call !== undefined) return callWordsOf(content)
  if (!content.title && content.url.startsWith('/pledges/')) return { title: push.title, body: news.other }
  if (!content.title) return { title: push.title, body: push.newMessage }
  if (content.pledge !== undefined) return { title: content.title, body: pledgeSentence(news, content.pledge, content.from ?? '') }
  let said = content.body ?? ''
  if (!said && content.media !== undefined && isMedia(content.media)) {
    const [one, many] = SHORT[content.media]
    const count = content.count ?? 1
    said = push[count > 1 ? many : one].replace('{n}', String(count))
  }
  said ||= push.newMessage
  return { title: content.title, body: content.from ? `${content.from}: ${said}` : said }
}

function callWordsOf(content: PushContent): { title: string; body: string } {
  const { push } = content.language === 'zh-CN' ? callZhCN : callEn
  const name = content.from ?? content.title ?? ''
  const filled = (text: string): string => text.replace('{name}', name)
  // In a group the call has two names: who calls, and where.
  const body = content.from !== undefined && content.title !== undefined && content.title !== content.from ? content.title : ''
  if (content.call === 'ring') return { title: name ? filled(content.video ? push.ringVideo : push.ring) : push.ringNobody, body }
  return { title: name ? filled(push.missed) : push.missedNobody, body }
}

/** A ring stays until somebody has answered it, and can be answered from where it is shown. */
function callOptionsOf(content: PushContent): ShownOptions {
  if (content.call !== 'ring') return {}
  const { push } = content.language === 'zh-CN' ? callZhCN : callEn
  return {
    requireInteraction: true,
    vibrate: [400, 200, 400, 200, 400],
    actions: [
      { action: 'answer', title: push.answer },
      { action: 'decline', title: push.decline },
    ],
  }
}

async function windowsOf(scope: PushScope): Promise<readonly Window[]> {
  return scope.clients.matchAll({ type: 'window', includeUncontrolled: true })
}

async function setBadge(scope: PushScope, count: number): Promise<void> {
  try {
    await (count > 0 ? scope.navigator.setAppBadge?.(count) : scope.navigator.clearAppBadge?.())
  } catch {
    // not installed, or not allowed: the number is an extra
  }
}

export async function pushed(scope: PushScope, data: unknown): Promise<void> {
  const content = contentOf(data)
  if (!content) return
  await setBadge(scope, content.badge)
  if (content.call === 'over') {
    // Answered elsewhere, or hung up: what still rings here is taken away.
    for (const each of (await scope.registration.getNotifications?.({ tag: content.tag })) ?? []) each.close()
    return
  }
  // Whoever looks at us sees it there.
  if ((await windowsOf(scope)).some((each) => each.visibilityState === 'visible')) return
  const { title, body } = wordsOf(content)
  await scope.registration.showNotification(title, {
    body,
    tag: content.tag,
    lang: content.language,
    icon: '/icons/icon-192.png',
    badge: '/icons/badge-96.png',
    data: { url: content.url },
    // Of one conversation there is one notification; a newer one is told again.
    renotify: true,
    ...callOptionsOf(content),
  })
}

/** Opens what was pressed. The page of a call joins nothing by itself; of a decline it is told, and does it. */
export async function clicked(scope: PushScope, data: unknown, action = ''): Promise<void> {
  const to = typeof data === 'object' && data !== null && 'url' in data && typeof data.url === 'string' ? data.url : '/chats'
  if (!to.startsWith('/') || to.startsWith('//')) return
  const url = action === 'decline' && to.startsWith('/calls/') ? `${to}?decline=1` : to
  const windows = await windowsOf(scope)
  const ours = windows.find((each) => each.focused) ?? windows.find((each) => each.visibilityState === 'visible') ?? windows[0]
  if (!ours) {
    await scope.clients.openWindow(new URL(url, scope.location.origin).href)
    return
  }
  ours.postMessage({ type: 'vouch-open', url })
  try {
    await ours.focus()
  } catch {
    // not allowed: the page opens it all the same
  }
}

/** Called once, at the top level of the worker. */
export function listenForPushes(scope: PushScope): void {
  scope.addEventListener('push', (event: PushEvent) => {
    let data: unknown = null
    try {
      data = event.data?.json()
    } catch {
      // no JSON: not ours
    }
    event.waitUntil(pushed(scope, data))
  })
  scope.addEventListener('notificationclick', (event: ClickEvent) => {
    event.notification.close()
    event.waitUntil(clicked(scope, event.notification.data, event.action))
  })
}
