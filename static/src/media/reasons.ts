/** Why something was not sent, in words: what happened, and what to do. */

import type { Reason } from '../chat/upload'
import { i18n, translate } from '../i18n'
import type { MessageKey } from '../locales/en'
import { sentenceOf } from '../sentences'

/** A code that this page does not know yet is told in the server's own words. */
export function reasonOf(reason: Reason | null): string {
  if (!reason) return translate('media.refused.failed')
  const key = `media.refused.${reason.code}`
  if (i18n.global.te(key)) return translate(key as MessageKey)
  return i18n.global.te(`errors.${reason.code}`) || !reason.message ? sentenceOf(reason.code) : reason.message
}
