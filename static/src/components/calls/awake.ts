/** Keeps the screen on while one is in a call: a phone that sleeps shows and hears nothing more. */

import { onBeforeUnmount, onMounted } from 'vue'

/** As long as the component stands. Browsers let go of it when the page is hidden, so it is asked for again; where it is refused the screen sleeps. */
export function useAwake(): void {
  let lock: WakeLockSentinel | null = null
  let over = false

  async function hold(): Promise<void> {
    if (over || document.visibilityState !== 'visible' || (lock !== null && !lock.released)) return
    try {
      const fresh = await (navigator as { readonly wakeLock?: WakeLock }).wakeLock?.request('screen')
      if (over) await fresh?.release()
      else lock = fresh ?? null
    } catch {
      // refused, as with little battery left
    }
  }
  const look = (): void => void hold()

  onMounted(() => {
    document.addEventListener('visibilitychange', look)
    look()
  })
  onBeforeUnmount(() => {
    over = true
    document.removeEventListener('visibilitychange', look)
    void lock?.release().catch(() => undefined)
  })
}
