/** The stage over the whole screen, and a small window above all others, where the browser has them. */

import { computed, onBeforeUnmount, onMounted, ref, type Ref } from 'vue'

export interface Floating {
  readonly full: Ref<boolean>
  readonly canFull: boolean
  toggleFull(): Promise<void>
  readonly canFloat: boolean
  /** The largest picture of the stage goes into the small window, or comes back. */
  float(): Promise<void>
}

export function useFloating(frame: Readonly<Ref<HTMLElement | null>>): Floating {
  const element = ref<Element | null>(document.fullscreenElement)
  const look = (): void => void (element.value = document.fullscreenElement)
  onMounted(() => document.addEventListener('fullscreenchange', look))
  onBeforeUnmount(() => document.removeEventListener('fullscreenchange', look))

  function largest(): HTMLVideoElement | null {
    const videos = [...(frame.value?.querySelectorAll('video') ?? [])].filter((video) => video.videoWidth > 0)
    const area = (video: HTMLVideoElement): number => video.clientWidth * video.clientHeight
    return videos.toSorted((a, b) => area(b) - area(a))[0] ?? null
  }

  return {
    full: computed(() => element.value !== null && element.value === frame.value),
    canFull: document.fullscreenEnabled === true,
    canFloat: document.pictureInPictureEnabled === true,
    async toggleFull() {
      try {
        if (document.fullscreenElement) await document.exitFullscreen()
        else await frame.value?.requestFullscreen()
      } catch {
        // refused by the browser: the page stays as it is
      }
    },
    async float() {
      try {
        if (document.pictureInPictureElement) await document.exitPictureInPicture()
        else await largest()?.requestPictureInPicture()
      } catch {
        // no picture yet, or refused
      }
    },
  }
}
