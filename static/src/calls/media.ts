/** What oneself shows in a call: microphone, camera, screen. A device is opened when it is wanted and let go of when it is not. */

import { ref, shallowRef, watch } from 'vue'

import { chosenDevices, turnBack } from './devices'
import { DeviceError, deviceFault } from './faults'
import { levelMeter } from './meter'
import { cameraWish, voiceWish } from './wishes'

export type Shown = 'voice' | 'camera' | 'screen'

/** Louder than this one speaks: 0 … 1. */
const SPEAKS = 0.3

export class OwnMedia {
  readonly voice = shallowRef<MediaStreamTrack | null>(null)
  readonly camera = shallowRef<MediaStreamTrack | null>(null)
  readonly screen = shallowRef<MediaStreamTrack | null>(null)
  readonly speaks = ref(false)
  readonly #lost: (what: Shown, device: string | undefined) => void
  #endMeter = (): void => undefined
  #stop: () => void
  #over = false
  /** An answer of the browser to an older question is not taken. */
  readonly #turns = { voice: 0, camera: 0, screen: 0 }

  /** `replaced`: another device of a kind that is open was chosen; `lost`: a track has ended by itself (pulled out, or the browser's own button). */
  constructor(replaced: (what: 'voice' | 'camera') => void, lost: (what: Shown, device: string | undefined) => void) {
    this.#lost = lost
    const { camera, microphone } = chosenDevices()
    const stops = [watch(camera, () => this.camera.value && replaced('camera')), watch(microphone, () => this.voice.value && replaced('voice'))]
    this.#stop = () => stops.forEach((stop) => stop())
  }

  /** Rejects with DeviceError; null: it is not wanted any more, for so long has the person been asked. `only`: this camera, and no other. */
  async open(what: Shown, only?: string): Promise<MediaStreamTrack | null> {
    const mine = (this.#turns[what] += 1)
    let stream: MediaStream
    try {
      stream = await asked(what, only).catch((error: unknown) => {
        if (this.#over || mine !== this.#turns[what] || this[what].value === null || deviceFault(error) !== 'busy') throw error
        // Many phones open one camera at a time: the other one can be had when the first is let go of.
        this.#release(what)
        return asked(what, only)
      })
    } catch (error) {
      if (this.#over || mine !== this.#turns[what]) return null
      throw new DeviceError(what, deviceFault(error))
    }
    const [track] = stream.getTracks()
    if (!track || this.#over || mine !== this.#turns[what]) {
      stream.getTracks().forEach((each) => each.stop())
      return null
    }
    this.#release(what)
    track.addEventListener('ended', () => {
      if (this[what].value !== track) return
      this.#release(what)
      this.#lost(what, track.getSettings().deviceId)
    })
    // The text of a screen must be sharp, and a camera's picture must move.
    if (what !== 'voice') track.contentHint = what === 'screen' ? 'detail' : 'motion'
    this[what].value = track
    if (what === 'voice') this.#endMeter = levelMeter(new MediaStream([track]), (level) => (this.speaks.value = track.enabled && level > SPEAKS))
    return track
  }

  /** Lets go of the device: its light goes out. */
  shut(what: Shown): void {
    this.#turns[what] += 1
    this.#release(what)
  }

  #release(what: Shown): void {
    if (what === 'voice') {
      this.#endMeter()
      this.#endMeter = () => undefined
      this.speaks.value = false
    }
    this[what].value?.stop()
    this[what].value = null
  }

  close(): void {
    this.#over = true
    this.#stop()
    turnBack()
    for (const what of ['voice', 'camera', 'screen'] as const) this.shut(what)
  }
}

function asked(what: Shown, only?: string): Promise<MediaStream> {
  const { camera, microphone } = chosenDevices()
  const devices = navigator.mediaDevices as MediaDevices | undefined // an address without https has none
  if (!devices) return Promise.reject(new TypeError('no devices'))
  if (what === 'screen') return devices.getDisplayMedia({ video: { frameRate: { max: 15 } }, audio: false })
  return devices.getUserMedia(what === 'voice' ? { audio: voiceWish(microphone.value) } : { video: only === undefined ? cameraWish(camera.value) : { ...cameraWish(''), deviceId: { exact: only } } })
}
