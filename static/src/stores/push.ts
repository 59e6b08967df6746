/** Pushes to this device: whether the browser lets us, whether the server knows it, and the number on the icon. */

import { defineStore } from 'pinia'
import { computed, ref, shallowRef, watch, type WatchStopHandle } from 'vue'

import { api } from '../api'
import { faultCode } from '../api/fault'
import type { SubscriptionView } from '../api/types'
import type { OpenMessage } from '../worker/push'
import { useConversations } from './conversations'

/** `denied`: the person, or their browser, has said no. `failing`: the last push did not arrive. */
export type PushState = 'checking' | 'unsupported' | 'unavailable' | 'denied' | 'off' | 'on' | 'failing'

/** Milliseconds to wait for the service worker, and for the browser's push service. */
const WORKER_WITHIN = 5_000
const SUBSCRIBE_WITHIN = 20_000

function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no answer in time')), milliseconds)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

function bytesOf(base64url: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64url.replaceAll('-', '+').replaceAll('_', '/')), (each) => each.charCodeAt(0))
}

function sameKey(subscription: PushSubscription, key: string): boolean {
  const used = subscription.options?.applicationServerKey
  if (!used) return true // not told: the server will say
  const wanted = bytesOf(key)
  const have = new Uint8Array(used)
  return have.length === wanted.length && have.every((each, at) => each === wanted[at])
}

function supported(): boolean {
  return 'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window
}

async function registration(): Promise<ServiceWorkerRegistration> {
  return within(WORKER_WITHIN, navigator.serviceWorker.ready)
}

export const usePush = defineStore('push', () => {
  const conversations = useConversations()

  const known = ref<'checking' | 'unsupported' | 'unavailable' | 'denied' | 'off' | 'on'>('checking')
  const subscriptions = shallowRef<readonly SubscriptionView[]>([])
  const own = computed(() => subscriptions.value.find((each) => each.current) ?? null)
  const others = computed(() => subscriptions.value.filter((each) => !each.current))
  const state = computed<PushState>(() => (known.value === 'on' && own.value?.fault ? 'failing' : known.value))
  let stops: WatchStopHandle[] = []
  let key: string | null = null
  let awaited = false

  async function tell(subscription: PushSubscription): Promise<void> {
    const { keys } = subscription.toJSON()
    await api.addSubscription({ endpoint: subscription.endpoint, p256dh: keys?.['p256dh'] ?? '', auth: keys?.['auth'] ?? '' })
  }

  async function list(): Promise<void> {
    subscriptions.value = (await api.subscriptions()).subscriptions
  }

  /** A worker that is still being installed, over a slow line or by a slow phone, is one all the same. */
  function lookWhenReady(): void {
    if (awaited) return
    awaited = true
    void navigator.serviceWorker.ready.then(() => refresh()).catch(() => undefined)
  }

  /** Looks at the browser and at the server, and makes one fit the other. Rejects when the server does not answer. */
  async function refresh(): Promise<void> {
    await list()
    if (!supported()) {
      known.value = 'unsupported'
      return
    }
    key = (await api.pushKey()).key
    if (key === null) {
      known.value = 'unavailable'
      return
    }
    let subscription: PushSubscription | null
    try {
      subscription = await (await registration()).pushManager.getSubscription()
    } catch {
      known.value = 'unsupported' // no service worker: a private window, or an old build
      lookWhenReady()
      return
    }
    if (Notification.permission === 'denied') {
      known.value = 'denied'
      if (own.value) await drop(own.value.id)
      return
    }
    if (subscription && Notification.permission === 'granted' && sameKey(subscription, key)) {
      if (!own.value) {
        await tell(subscription) // a new sign-in, or the server has forgotten
        await list()
      }
      known.value = 'on'
      return
    }
    if (subscription && Notification.permission === 'granted') {
      await subscribe(key) // the server has a new key
      known.value = 'on'
      return
    }
    if (own.value) await drop(own.value.id) // the browser has forgotten
    known.value = 'off'
  }

  async function subscribe(to: string): Promise<void> {
    const { pushManager } = await registration()
    let subscription = await pushManager.getSubscription()
    if (subscription && !sameKey(subscription, to)) {
      await subscription.unsubscribe()
      subscription = null
    }
    subscription ??= await within(SUBSCRIBE_WITHIN, pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytesOf(to) }))
    await tell(subscription)
    await list()
  }

  async function drop(id: string): Promise<void> {
    try {
      await api.removeSubscription(id)
    } catch (error) {
      if (faultCode(error) !== 'not_found') throw error
    }
    await list()
  }

  /** Asks the person: only to be called for their click. False when they, or the browser, said no. */
  async function enable(): Promise<boolean> {
    if ((await Notification.requestPermission()) !== 'granted') {
      known.value = Notification.permission === 'denied' ? 'denied' : 'off'
      return false
    }
    key ??= (await api.pushKey()).key
    if (key === null) {
      known.value = 'unavailable'
      return false
    }
    await subscribe(key)
    known.value = 'on'
    return true
  }

  async function disable(): Promise<void> {
    await forgetHere()
    if (own.value) await drop(own.value.id)
    known.value = 'off'
  }

  /** The browser forgets it; the server does so with the sign-in. */
  async function forgetHere(): Promise<void> {
    if (!supported()) return
    try {
      const found = await navigator.serviceWorker.getRegistration()
      await (await found?.pushManager.getSubscription())?.unsubscribe()
    } catch {
      // the push service does not answer: the server's own forgetting is enough
    }
  }

  // ── Notifications that are shown, and the number on the icon ──────────────────────────────────────────────────────

  /** What was read, here or on another device, need not be shown any more. */
  async function close(tags: ReadonlySet<string>): Promise<void> {
    if (!supported()) return
    const found = await navigator.serviceWorker.getRegistration()
    for (const shown of (await found?.getNotifications()) ?? []) if (tags.has(shown.tag)) shown.close()
  }

  function count(unread: number): void {
    const setting = unread > 0 ? navigator.setAppBadge?.(unread) : navigator.clearAppBadge?.()
    setting?.catch(() => undefined) // not installed: there is no icon
  }

  /** `open` goes to an address of ours. */
  function begin(open: (url: string) => void): void {
    const onMessage = ({ data }: MessageEvent<unknown>): void => {
      const message = data as Partial<OpenMessage> | null
      if (message?.type === 'vouch-open' && typeof message.url === 'string' && /^\/(?![/\\])/.test(message.url)) open(message.url)
    }
    navigator.serviceWorker?.addEventListener('message', onMessage)
    stops = [
      () => navigator.serviceWorker?.removeEventListener('message', onMessage),
      watch(() => conversations.unread, count, { immediate: true }),
      watch(
        () => conversations.list.filter((each) => each.n > each.read_n).map((each) => each.ch),
        (unread, before) => {
          const still = new Set(unread)
          const read = new Set(before.filter((ch) => !still.has(ch)))
          if (read.size) close(read).catch(() => undefined)
        },
      ),
    ] as WatchStopHandle[]
    if (supported() && Notification.permission === 'granted') refresh().catch(() => undefined) // looked at again on the page of settings
  }

  async function end(): Promise<void> {
    stops.forEach((stop) => stop())
    stops = []
    known.value = 'checking'
    subscriptions.value = []
    count(0)
    await forgetHere()
  }

  return { state, own, others, refresh, enable, disable, drop, begin, end }
})
