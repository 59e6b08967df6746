/** Short words about what just happened. One list for the whole page; ToastHost shows it. */

import { shallowReactive } from 'vue'

export type ToastTone = 'plain' | 'good' | 'wrong'

export interface Toast {
  readonly id: number
  readonly text: string
  readonly tone: ToastTone
}

/** Milliseconds that a toast stays; trouble stays longer, because it has to be read. */
const STAYS: Readonly<Record<ToastTone, number>> = { plain: 4_000, good: 4_000, wrong: 8_000 }

export const toasts = shallowReactive<Toast[]>([])

let last = 0

export function dismissToast(id: number): void {
  const at = toasts.findIndex((toast) => toast.id === id)
  if (at >= 0) toasts.splice(at, 1)
}

export function showToast(text: string, tone: ToastTone = 'plain'): number {
  last += 1
  const id = last
  const same = toasts.find((toast) => toast.text === text)
  if (same) dismissToast(same.id)
  toasts.push({ id, text, tone })
  if (toasts.length > 3) toasts.shift()
  setTimeout(() => dismissToast(id), STAYS[tone])
  return id
}
