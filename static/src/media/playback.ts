/** One thing plays at a time, whatever it is; and after a voice comes the next of the same person. */

import { ref } from 'vue'

let playing: HTMLMediaElement | null = null

/** Called when something begins to play. */
export function takeTheFloor(element: HTMLMediaElement): void {
  if (playing && playing !== element) playing.pause()
  playing = element
}

export const SPEEDS = [1, 1.5, 2] as const
/** How fast voices are played: one choice for all of them. */
export const speed = ref<(typeof SPEEDS)[number]>(1)

export function nextSpeed(): void {
  speed.value = SPEEDS[(SPEEDS.indexOf(speed.value) + 1) % SPEEDS.length] ?? 1
}

const PLAY = 'vouch-play'

/** The voice that follows this one in the page, if the same person said it. */
export function playNextVoice(after: HTMLElement): void {
  const voices = [...document.querySelectorAll<HTMLElement>('[data-voice]')]
  const next = voices[voices.indexOf(after) + 1]
  if (next && next.dataset['voice'] === after.dataset['voice']) next.dispatchEvent(new Event(PLAY))
}

/** Hears when this voice's turn has come. */
export function onTurn(element: HTMLElement, play: () => void): void {
  element.addEventListener(PLAY, play)
}
