/** What belongs to this device rather than to a person: language and theme. Kept over a sign-out. */

import { computed, ref, watch } from 'vue'

import type { Language } from './api/types'
import { i18n, preferredLanguage } from './i18n'

export type Theme = 'system' | 'light' | 'dark'

/** The name under which it is installed. */
const MANIFESTS: Readonly<Record<Language, string>> = { en: '/manifest.webmanifest', 'zh-CN': '/manifest.zh-CN.webmanifest' }
const LANGUAGE = 'vouch.language'
const THEME = 'vouch.theme'

function stored(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null // storage can be forbidden; the choice then lasts as long as the page
  }
}

function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {
    // as above
  }
}

function storedLanguage(): Language | null {
  const value = stored(LANGUAGE)
  return value === 'en' || value === 'zh-CN' ? value : null
}

function storedTheme(): Theme {
  const value = stored(THEME)
  return value === 'light' || value === 'dark' ? value : 'system'
}

export const language = ref<Language>(storedLanguage() ?? preferredLanguage(navigator.languages))
export const theme = ref<Theme>(storedTheme())

const darkSystem = window.matchMedia('(prefers-color-scheme: dark)')
const systemIsDark = ref(darkSystem.matches)
darkSystem.addEventListener('change', (event) => (systemIsDark.value = event.matches))

export const shownTheme = computed<'light' | 'dark'>(() => {
  if (theme.value !== 'system') return theme.value
  return systemIsDark.value ? 'dark' : 'light'
})

/** Puts both choices onto the page, now and whenever they change. */
export function applyPreferences(): void {
  watch(
    shownTheme,
    (shown) => {
      document.documentElement.dataset['theme'] = shown
      const paper = getComputedStyle(document.documentElement).getPropertyValue('--paper').trim()
      document.querySelector('meta[name="theme-color"]')?.setAttribute('content', paper)
    },
    { immediate: true },
  )
  watch(
    language,
    (chosen) => {
      i18n.global.locale.value = chosen
      document.documentElement.lang = chosen
      document.querySelector('link[rel="manifest"]')?.setAttribute('href', MANIFESTS[chosen])
    },
    { immediate: true },
  )
  watch(language, (chosen) => keep(LANGUAGE, chosen))
  watch(theme, (chosen) => keep(THEME, chosen))
}
