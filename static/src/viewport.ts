/** Keeps `--screen` at the height that is really visible, so that a phone's keyboard never hides the composer. */
export function followViewport(): void {
  const viewport = window.visualViewport
  if (!viewport) return
  const root = document.documentElement
  let frame = 0
  const measure = (): void => {
    cancelAnimationFrame(frame)
    frame = requestAnimationFrame(() => {
      // A pinch makes the viewport small as well; only a keyboard is meant.
      if (viewport.scale > 1.01) return
      root.style.setProperty('--screen', `${viewport.height}px`)
      if (viewport.offsetTop > 0) window.scrollTo(0, 0)
    })
  }
  viewport.addEventListener('resize', measure)
  viewport.addEventListener('scroll', measure)
  measure()
}
