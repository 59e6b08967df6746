/** Swiping a message to the right answers it, as people know it from elsewhere. Only fingers swipe; a scroll stays a scroll. */

import { ref, type Ref } from 'vue'

/** Pixels after which a finger has decided, after which letting go answers, and the most that the message moves. */
const DECIDES = 12
const ANSWERS = 56
const MOST = 72
/** Milliseconds of holding still that open the menu. */
const HOLDS = 450

interface Swipe {
  /** How far the message has been moved. */
  readonly offset: Ref<number>
  readonly listeners: Readonly<Record<string, (event: TouchEvent) => void>>
}

export function useSwipe(may: () => boolean, onAnswer: () => void, onHold: () => void): Swipe {
  const offset = ref(0)
  let from: { x: number; y: number } | null = null
  let sideways = false
  let timer = 0

  function rest(): void {
    window.clearTimeout(timer)
    from = null
    sideways = false
    offset.value = 0
  }

  function touchstart(event: TouchEvent): void {
    const touch = event.touches[0]
    if (event.touches.length !== 1 || !touch) return rest()
    from = { x: touch.clientX, y: touch.clientY }
    timer = window.setTimeout(() => {
      rest()
      onHold()
    }, HOLDS)
  }

  function touchmove(event: TouchEvent): void {
    const touch = event.touches[0]
    if (!from || !touch) return
    const x = touch.clientX - from.x
    const y = touch.clientY - from.y
    if (!sideways) {
      if (Math.abs(x) < DECIDES && Math.abs(y) < DECIDES) return
      window.clearTimeout(timer)
      if (x <= Math.abs(y) || !may()) return rest()
      sideways = true
    }
    offset.value = Math.max(0, Math.min(MOST, x))
  }

  function touchend(event: TouchEvent): void {
    const answers = sideways && offset.value >= ANSWERS
    // The tap that would follow means nothing.
    if (sideways && event.cancelable) event.preventDefault()
    rest()
    if (answers) onAnswer()
  }

  return { offset, listeners: { touchstart, touchmove, touchend, touchcancel: rest } }
}
