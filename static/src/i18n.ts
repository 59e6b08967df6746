/** Two languages, typed keys: a key that does not exist, or is missing in one language, does not compile. */

import { createI18n, useI18n } from 'vue-i18n'

import type { Language } from './api/types'
import en, { type MessageKey, type Messages } from './locales/en'
import zhCN from './locales/zh-CN'

export const LANGUAGES: readonly { value: Language; text: string }[] = [
  { value: 'zh-CN', text: '中文' },
  { value: 'en', text: 'English' },
]

export const i18n = createI18n<[Messages], Language, false>({
  legacy: false,
  locale: 'en',
  fallbackLocale: 'en',
  messages: { en, 'zh-CN': zhCN },
})

export type Values = Record<string, string | number>

/** The text of a key; `count` chooses singular or plural and is also `{n}`. */
export type Translate = (key: MessageKey, values?: Values, count?: number) => string

export const translate: Translate = (key, values = {}, count) =>
  count === undefined ? i18n.global.t(key, values) : i18n.global.t(key, { n: count, ...values }, count)

/** For components: `const { t, language } = useText()`. */
export function useText(): { t: Translate; language: { readonly value: string } } {
  const { locale } = useI18n({ useScope: 'global' })
  return { t: translate, language: locale }
}

/** The best of our languages for what the browser prefers. */
export function preferredLanguage(wanted: readonly string[]): Language {
  for (const tag of wanted) {
    if (/^zh\b/i.test(tag)) return 'zh-CN'
    if (/^en\b/i.test(tag)) return 'en'
  }
  return 'en'
}
