/** Turning the camera around, on devices that have one on each side. */

import { computed, onBeforeUnmount, onMounted, ref, watch, type ComputedRef } from 'vue'

import { otherSide } from '../../calls/cameras'
import { devicesOf, turnTo } from '../../calls/devices'

export interface Turning {
  readonly turnable: ComputedRef<boolean>
  turn(): void
}

/** `stream`: what one shows, or would show, of oneself. */
export function useTurning(stream: () => MediaStream | null): Turning {
  const other = ref<string | null>(null)

  async function look(): Promise<void> {
    const track = stream()?.getVideoTracks()[0]
    const found = track ? otherSide(await devicesOf(), track.getSettings()) : null
    if (track === stream()?.getVideoTracks()[0]) other.value = found
  }

  watch(stream, () => void look(), { immediate: true })
  onMounted(() => navigator.mediaDevices?.addEventListener?.('devicechange', look))
  onBeforeUnmount(() => navigator.mediaDevices?.removeEventListener?.('devicechange', look))

  return {
    turnable: computed(() => other.value !== null),
    turn() {
      if (other.value !== null) turnTo(other.value)
    },
  }
}
