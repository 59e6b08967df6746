/** Puts a strip (chat/strip.ts) behind a scrolling element: measures what is drawn, and moves what has to be moved. */

import { onBeforeUnmount, onMounted, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'

import type { Strip, StripRow } from '../chat/strip'

/** Milliseconds without a scroll event after which the scrolling rests, where the browser does not tell so. */
const REST = 160
/** Milliseconds for which a scroll by the keys or the wheel may still run on after the last of them. */
const RUN_ON = 500
/** How often what was drawn may turn out to be of another height before it is shown. */
const ROUNDS = 6

export interface StripView<Row> {
  /** The rows to be drawn; each must be an element with its key in `data-key`, and nothing else stands in `content`. */
  readonly drawn: Readonly<ShallowRef<readonly Row[]>>
  readonly atEnd: Readonly<Ref<boolean>>
  /** Somebody is scrolling. */
  readonly moving: Readonly<Ref<boolean>>
  lay(rows: readonly Row[]): void
  toEnd(): void
  /** The row goes to this part of the window's height, and stays there until somebody scrolls. False: unknown row. */
  toRow(key: string, share: number): boolean
  /** What is seen: the window's position and height; height 0 when it is hidden. */
  view(): { position: number; height: number }
}

export function useStripView<Row extends StripRow>(
  strip: Strip<Row>,
  scroller: Ref<HTMLElement | null>,
  content: Ref<HTMLElement | null>,
  /** Something else is seen now. At most once a frame. */
  looked: () => void,
): StripView<Row> {
  const drawn = shallowRef<readonly Row[]>([])
  const atEnd = ref(true)
  const moving = ref(false)
  let position = 0
  let height = 0
  /** Where we have put the window ourselves: the event that follows is nobody's scrolling. */
  let written = Number.NaN
  let target = 0
  /** Until then (ms, performance.now) whatever moves the window is the rest of a scroll that a jump has overtaken. */
  let overtaken = 0
  /** When somebody scrolled last, by whatever means. */
  let intended = Number.NEGATIVE_INFINITY
  let rounds = 0
  let touched = false
  let frame = 0
  let settled: readonly Row[] = []
  let rest: ReturnType<typeof setTimeout> | undefined

  function look(): void {
    cancelAnimationFrame(frame)
    frame = requestAnimationFrame(() => {
      // They are measured already. An observer that is told of them while it reports would have to report again.
      for (const element of fresh.splice(0)) if (element.isConnected) sizes.observe(element)
      if (height > 0) looked()
    })
  }

  // ── Drawing ───────────────────────────────────────────────────────────────────────────────────────────────────────

  function settle(): void {
    const view = scroller.value
    const inner = content.value
    if (!view || !inner || height === 0) return
    const { first, last, rows } = strip
    target = strip.settle(position, height, moving.value)
    atEnd.value = strip.stuck
    // Set before the rows change, and nothing is laid out in between: the window has somewhere to stand all the time.
    inner.style.paddingTop = `${strip.before}px`
    inner.style.paddingBottom = `${strip.after}px`
    if (settled === rows && first === strip.first && last === strip.last) return place()
    settled = rows
    keepFocus()
    drawn.value = rows.slice(strip.first, strip.last)
  }

  function place(): void {
    const view = scroller.value
    if (!view) return
    rounds = 0
    if (target !== position) {
      view.scrollTop = target
      position = view.scrollTop
      written = position
    }
    look()
  }

  /** True when a row is not as tall as it was thought to be. */
  function measureFresh(): boolean {
    let news = false
    const present = new Set<Element>()
    for (const element of content.value?.children ?? []) {
      present.add(element)
      if (observed.has(element)) continue
      observed.add(element)
      fresh.push(element)
      const key = (element as HTMLElement).dataset['key']
      if (key !== undefined && strip.measure(key, element.getBoundingClientRect().height)) news = true
    }
    for (const element of observed) {
      if (present.has(element)) continue
      observed.delete(element)
      sizes.unobserve(element)
    }
    return news
  }

  watch(
    drawn,
    () => {
      if (height === 0) return
      rounds += 1
      if (measureFresh() && rounds < ROUNDS) settle()
      else place()
    },
    { flush: 'post' },
  )

  /** Who had the focus in a row that goes would find it nowhere. */
  function keepFocus(): void {
    const focused = document.activeElement
    if (!(focused instanceof HTMLElement) || !content.value?.contains(focused)) return
    const key = focused.closest<HTMLElement>('[data-key]')?.dataset['key']
    for (let at = strip.first; at < strip.last; at += 1) if (strip.rows[at]?.key === key) return
    scroller.value?.focus({ preventScroll: true })
  }

  // ── What the browser tells ────────────────────────────────────────────────────────────────────────────────────────

  const observed = new Set<Element>()
  const fresh: Element[] = []
  const sizes = new ResizeObserver((entries) => {
    const view = scroller.value
    if (!view) return
    let news = false
    let widened = false
    if (!entries.some((entry) => entry.target === view)) follow()
    for (const { target: element, borderBoxSize } of entries) {
      if (element === view) {
        news = true
        height = view.clientHeight
        if (height > 0 && strip.widen(view.clientWidth)) widened = true
        continue
      }
      const key = (element as HTMLElement).dataset['key']
      const size = borderBoxSize[0]?.blockSize ?? 0
      if (height > 0 && key !== undefined && element.isConnected && strip.measure(key, size)) news = true
    }
    if (!news) return
    if (widened) {
      // What was known went with the old width; what is drawn is there to be measured.
      for (const element of observed) {
        const key = (element as HTMLElement).dataset['key']
        if (key !== undefined && element.isConnected) strip.measure(key, element.getBoundingClientRect().height)
      }
    }
    settle()
  })

  /** Takes up where the window stands. True when somebody else than we has moved it. */
  function follow(): boolean {
    const view = scroller.value
    if (!view || height === 0 || view.scrollTop === written || view.scrollTop === position) return false
    if (performance.now() < overtaken) {
      view.scrollTop = position
      written = view.scrollTop
      return false
    }
    written = Number.NaN
    position = view.scrollTop
    moving.value = true
    strip.moved(position, height)
    clearTimeout(rest)
    rest = setTimeout(onRest, REST)
    return true
  }

  /** Browsers do not end a scroll of the keys when the window is put elsewhere: it would go on from there. */
  function overtake(): void {
    const now = performance.now()
    if (moving.value || now < intended + RUN_ON) overtaken = now + RUN_ON
  }

  /** Somebody scrolls anew. */
  function onIntent(): void {
    overtaken = 0
    intended = performance.now()
  }

  function onScroll(): void {
    if (follow()) settle()
  }

  function onRest(): void {
    clearTimeout(rest)
    if (touched || !moving.value) return
    moving.value = false
    if (strip.adrift) settle()
    else look()
  }

  function onTouch(event: TouchEvent): void {
    touched = event.touches.length > 0
    if (touched) return
    clearTimeout(rest)
    rest = setTimeout(onRest, REST)
  }

  onMounted(() => {
    const view = scroller.value
    if (!view) return
    height = view.clientHeight
    strip.widen(view.clientWidth)
    sizes.observe(view)
    view.addEventListener('scroll', onScroll, { passive: true })
    view.addEventListener('scrollend', onRest)
    for (const name of ['keydown', 'wheel', 'pointerdown', 'touchstart'] as const) view.addEventListener(name, onIntent, { passive: true, capture: true })
    for (const name of ['touchstart', 'touchend', 'touchcancel'] as const) view.addEventListener(name, onTouch, { passive: true })
    settle()
  })
  onBeforeUnmount(() => {
    sizes.disconnect()
    clearTimeout(rest)
    cancelAnimationFrame(frame)
  })

  return {
    drawn,
    atEnd,
    moving,
    lay(rows) {
      follow() // it may have been moved since the last event
      strip.lay(rows)
      settle()
    },
    toEnd() {
      overtake()
      moving.value = false
      strip.stick()
      settle()
    },
    toRow(key, share) {
      overtake()
      moving.value = false
      if (!strip.holdTop(key, share * height, height)) return false
      settle()
      return true
    },
    view: () => ({ position, height }),
  }
}
