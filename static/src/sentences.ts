/** Faults in words: what happened, what was kept, what to do. */

import { Fault, faultCode } from './api/fault'
import { i18n, translate } from './i18n'
import type { MessageKey } from './locales/en'
import { language } from './preferences'
import { browserZone, fullOf } from './times'

/** Seconds from which waiting is told in minutes. */
const MINUTE = 90

export function wait(seconds: number): string {
  const whole = Math.max(1, Math.ceil(seconds))
  return whole < MINUTE ? translate('errors.seconds', {}, whole) : translate('errors.minutes', {}, Math.ceil(whole / 60))
}

export function sentence(error: unknown): string {
  const code = faultCode(error)
  if (code === 'too_often' && error instanceof Fault && error.retryAfter !== null) {
    return translate('errors.too_often_wait', { wait: wait(error.retryAfter) })
  }
  if (code === 'suspended' && error instanceof Fault && error.retryAfter !== null) {
    const until = fullOf(Date.now() + error.retryAfter * 1000, { language: language.value, zone: browserZone() })
    return translate('errors.suspended_until', { until })
  }
  return sentenceOf(code)
}

/** The sentence of a code, also of those that only the realtime client knows. */
export function sentenceOf(code: string): string {
  if (code === 'timeout') return translate('errors.offline')
  if (code === 'aborted') return translate('errors.cancelled')
  const key = `errors.${code}`
  return i18n.global.te(key) ? translate(key as MessageKey) : translate('errors.internal')
}
