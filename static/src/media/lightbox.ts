/** Showing a picture large is an address (?media=…): it can be reloaded, and "back" closes it. */

import { computed, type ComputedRef } from 'vue'
import { useRoute, useRouter } from 'vue-router'

export interface LightboxControl {
  /** The thing that is shown large; null: none is. */
  readonly shown: ComputedRef<string | null>
  open(media: string): void
  /** Another one in its place. */
  turn(media: string): void
  close(): void
}

export function useLightbox(): LightboxControl {
  const route = useRoute()
  const router = useRouter()
  const shown = computed(() => (typeof route.query['media'] === 'string' ? route.query['media'] : null))

  return {
    shown,
    open: (media) => void router.push({ query: { ...route.query, media }, state: { lightbox: true } }),
    turn: (media) => void router.replace({ query: { ...route.query, media }, state: { lightbox: window.history.state?.lightbox === true } }),
    close() {
      if (window.history.state?.lightbox === true) return router.back()
      const { media: _, ...query } = route.query
      void router.replace({ query })
    },
  }
}
