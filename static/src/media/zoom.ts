/** Making a picture larger and moving it about: wheel, two fingers, double press; and what swiping means when it is not. */

import { computed, onBeforeUnmount, onMounted, ref, type ComputedRef, type Ref } from 'vue'

const MOST = 6
const STEP = 1.6
/** Pixels of a swipe. */
const TURN = 60
const CLOSE = 110
/** Milliseconds between two presses that are one double press. */
const DOUBLE = 300

export interface Zoom {
  readonly scale: Ref<number>
  /** A hand is at it: no transition. */
  readonly moving: Ref<boolean>
  readonly transform: ComputedRef<string>
  /** One step larger (1) or smaller (-1), about the middle. */
  step(by: number): void
  reset(): void
}

interface Point {
  readonly x: number
  readonly y: number
}

export function useZoom(stage: Ref<HTMLElement | null>, acts: { turn: (by: number) => void; close: () => void }): Zoom {
  const scale = ref(1)
  const moving = ref(false)
  const offset = ref<Point>({ x: 0, y: 0 })
  const fingers = new Map<number, Point>()
  let swipe: Point | null = null
  let pressed = 0

  /** The picture never leaves the stage. */
  function held({ x, y }: Point): Point {
    const box = stage.value?.getBoundingClientRect()
    if (!box) return { x: 0, y: 0 }
    const [across, down] = [(box.width * (scale.value - 1)) / 2, (box.height * (scale.value - 1)) / 2]
    return { x: Math.min(across, Math.max(-across, x)), y: Math.min(down, Math.max(-down, y)) }
  }

  /** `about` stays where it is. */
  function to(next: number, about: Point): void {
    const box = stage.value?.getBoundingClientRect()
    if (!box) return
    const bounded = Math.min(MOST, Math.max(1, next))
    const middle = { x: about.x - box.left - box.width / 2, y: about.y - box.top - box.height / 2 }
    const factor = bounded / scale.value
    scale.value = bounded
    offset.value = held({ x: middle.x - (middle.x - offset.value.x) * factor, y: middle.y - (middle.y - offset.value.y) * factor })
  }

  function middleOfStage(): Point {
    const box = stage.value?.getBoundingClientRect()
    return box ? { x: box.left + box.width / 2, y: box.top + box.height / 2 } : { x: 0, y: 0 }
  }

  function reset(): void {
    scale.value = 1
    offset.value = { x: 0, y: 0 }
  }

  function pair(): { about: Point; apart: number } | null {
    const [a, b] = [...fingers.values()]
    return a && b ? { about: { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 }, apart: Math.hypot(a.x - b.x, a.y - b.y) } : null
  }

  function onDown(event: PointerEvent): void {
    if ((event.target as HTMLElement).closest('video')) return
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY })
    stage.value?.setPointerCapture(event.pointerId)
    moving.value = true
    swipe = fingers.size === 1 && scale.value === 1 ? { x: 0, y: 0 } : null
    if (fingers.size !== 1) return
    if (event.timeStamp - pressed < DOUBLE) to(scale.value > 1 ? 1 : 2.5, { x: event.clientX, y: event.clientY })
    pressed = event.timeStamp
  }

  function onMove(event: PointerEvent): void {
    const before = fingers.get(event.pointerId)
    if (!before) return
    const two = pair()
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY })
    const moved = { x: event.clientX - before.x, y: event.clientY - before.y }
    const now = pair()
    if (two && now) {
      to((scale.value * now.apart) / Math.max(1, two.apart), now.about)
      swipe = null
    } else if (scale.value > 1) offset.value = held({ x: offset.value.x + moved.x, y: offset.value.y + moved.y })
    else if (swipe) {
      swipe = { x: swipe.x + moved.x, y: swipe.y + moved.y }
      offset.value = swipe // it goes with the finger
    }
  }

  function onUp(event: PointerEvent): void {
    if (!fingers.delete(event.pointerId) || fingers.size > 0) return
    moving.value = false
    const done = swipe
    swipe = null
    if (scale.value === 1) offset.value = { x: 0, y: 0 }
    if (!done || event.type === 'pointercancel') return
    if (Math.abs(done.x) > TURN && Math.abs(done.x) > Math.abs(done.y)) acts.turn(done.x < 0 ? 1 : -1)
    else if (event.pointerType !== 'mouse' && done.y > CLOSE) acts.close()
  }

  function onWheel(event: WheelEvent): void {
    event.preventDefault()
    to(scale.value * Math.exp(-event.deltaY / 400), { x: event.clientX, y: event.clientY })
  }

  onMounted(() => {
    const element = stage.value
    if (!element) return
    element.addEventListener('pointerdown', onDown)
    element.addEventListener('pointermove', onMove)
    element.addEventListener('pointerup', onUp)
    element.addEventListener('pointercancel', onUp)
    element.addEventListener('wheel', onWheel, { passive: false })
  })
  onBeforeUnmount(() => fingers.clear())

  return {
    scale,
    moving,
    transform: computed(() => `translate(${offset.value.x}px, ${offset.value.y}px) scale(${scale.value})`),
    step: (by) => to(scale.value * STEP ** by, middleOfStage()),
    reset,
  }
}
