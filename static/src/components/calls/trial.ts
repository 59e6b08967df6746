/** Camera and microphone of the page before a call: opened when somebody asks for it, let go of when the page is left. Nothing is sent. */

import { computed, onBeforeUnmount, onMounted, ref, shallowRef, watch, type ComputedRef, type Ref, type ShallowRef } from 'vue'

import { deviceFault, type DeviceFault } from '../../calls/faults'
import { cameraWish, voiceWish } from '../../calls/wishes'
import { chosenDevices, devicesOf, type Choice } from '../../calls/devices'
import { levelMeter } from '../../calls/meter'

export interface Trial {
  readonly wantsVoice: Ref<boolean>
  readonly wantsCamera: Ref<boolean>
  readonly open: ComputedRef<boolean>
  readonly opening: Ref<boolean>
  readonly fault: Ref<DeviceFault | null>
  readonly stream: ShallowRef<MediaStream | null>
  readonly showsCamera: ComputedRef<boolean>
  /** 0 … 1, and whether anything has been heard yet. */
  readonly level: Ref<number>
  readonly heard: Ref<boolean>
  readonly cameras: ComputedRef<readonly Choice[]>
  readonly microphones: ComputedRef<readonly Choice[]>
  readonly speakers: ComputedRef<readonly Choice[]>
  readonly camera: Ref<string>
  readonly microphone: Ref<string>
  readonly speaker: Ref<string>
  begin(): Promise<void>
  /** After a wish has changed: lets go of what is no longer wanted, opens what is. */
  follow(): void
  stop(): void
}

/** Louder than the noise of a quiet room. */
const HEARD = 0.12

export function useTrial(video: boolean): Trial {
  const { camera, microphone, speaker } = chosenDevices()
  const wantsVoice = ref(true)
  const wantsCamera = ref(video)
  const opening = ref(false)
  const fault = ref<DeviceFault | null>(null)
  const stream = shallowRef<MediaStream | null>(null)
  const level = ref(0)
  const heard = ref(false)
  const all = shallowRef<readonly MediaDeviceInfo[]>([])
  let turn = 0
  let endMeter = (): void => undefined

  const tracks = (kind: 'audio' | 'video'): boolean => stream.value?.getTracks().some((track) => track.kind === kind && track.readyState === 'live') ?? false

  function stop(): void {
    turn += 1
    opening.value = false
    endMeter()
    endMeter = () => undefined
    stream.value?.getTracks().forEach((track) => track.stop())
    stream.value = null
    level.value = 0
  }

  /** Both at once, so that the browser asks once; when one of them fails, the other alone. `wanted`: nobody has gone away meanwhile. */
  async function opened(wanted: () => boolean): Promise<MediaStream> {
    const audio = wantsVoice.value && voiceWish(microphone.value)
    const picture = wantsCamera.value && cameraWish(camera.value)
    try {
      return await navigator.mediaDevices.getUserMedia({ audio, video: picture })
    } catch (error) {
      if (!wanted() || !audio || !picture || deviceFault(error) === 'refused') throw error
      fault.value = deviceFault(error)
    }
    try {
      const heardOnly = await navigator.mediaDevices.getUserMedia({ audio })
      if (wanted()) wantsCamera.value = false
      return heardOnly
    } catch (error) {
      if (!wanted()) throw error
      const seenOnly = await navigator.mediaDevices.getUserMedia({ video: picture })
      if (wanted()) wantsVoice.value = false
      return seenOnly
    }
  }

  async function begin(): Promise<void> {
    if (!wantsVoice.value && !wantsCamera.value) return
    if (!navigator.mediaDevices?.getUserMedia) {
      fault.value = 'unsupported'
      return
    }
    stop()
    const mine = turn
    opening.value = true
    fault.value = null
    try {
      const fresh = await opened(() => mine === turn)
      if (mine !== turn) {
        fresh.getTracks().forEach((track) => track.stop())
        return
      }
      stream.value = fresh
      // Pulled out: the next one takes its place, or it is said that there is none.
      for (const track of fresh.getTracks()) track.addEventListener('ended', () => mine === turn && void begin())
      endMeter = levelMeter(fresh, (now) => {
        level.value = now
        heard.value ||= now > HEARD
      })
      all.value = await devicesOf()
    } catch (error) {
      if (mine === turn) fault.value = deviceFault(error)
    } finally {
      if (mine === turn) opening.value = false
    }
  }

  function follow(): void {
    // Also while the browser still asks: what is turned off meanwhile must not be opened by a yes to the older question.
    if (stream.value === null && !opening.value) return
    const right = stream.value !== null && tracks('audio') === wantsVoice.value && tracks('video') === wantsCamera.value
    if (right) return
    if (wantsVoice.value || wantsCamera.value) void begin()
    else stop()
  }

  watch([camera, microphone], () => stream.value && void begin())
  const look = async (): Promise<void> => void (stream.value && (all.value = await devicesOf()))
  onMounted(() => {
    navigator.mediaDevices?.addEventListener?.('devicechange', look)
    window.addEventListener('pagehide', stop) // some browsers keep the page, and what is open in it
  })
  onBeforeUnmount(() => {
    window.removeEventListener('pagehide', stop)
    navigator.mediaDevices?.removeEventListener?.('devicechange', look)
    stop()
  })

  const kind = (name: MediaDeviceKind): ComputedRef<readonly Choice[]> => computed(() => all.value.filter((each) => each.kind === name && each.deviceId !== '').map((each) => ({ id: each.deviceId, label: each.label })))
  return {
    wantsVoice,
    wantsCamera,
    open: computed(() => stream.value !== null),
    opening,
    fault,
    stream,
    showsCamera: computed(() => stream.value !== null && wantsCamera.value && tracks('video')),
    level,
    heard,
    cameras: kind('videoinput'),
    microphones: kind('audioinput'),
    speakers: kind('audiooutput'),
    camera,
    microphone,
    speaker,
    begin,
    follow,
    stop,
  }
}
