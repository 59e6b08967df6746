/** Pushes in the service worker: shows them, opens what was clicked. Knows nothing of the page but its address. */

import en from '../locales/en/notifications'
import newsEn from '../locales/en/pledge-news'
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
  readonly registration: { showNotification(title: string, options: NotificationOptions): Promise<void> }
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
  return typeof url === 'string' && /^\/(chats|pledges)\/[\w?=&-]+$/.test(url) && typeof tag === 'string' ? (data as PushContent) : null
}

/** Title and words of the notification. */
export function wordsOf(content: PushContent): { title: string; body: string } {
  const chinese = content.language === 'zh-CN'
  const { push } = chinese ? zhCN : en
  const news = chinese ? newsZhCN : newsEn
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
    ...{ renotify: true },
  })
}

export async function clicked(scope: PushScope, data: unknown): Promise<void> {
  const url = typeof data === 'object' && data !== null && 'url' in data && typeof data.url === 'string' ? data.url : '/chats'
  if (!url.startsWith('/') || url.startsWith('//')) return
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
    event.waitUntil(clicked(scope, event.notification.data))
  })
}
