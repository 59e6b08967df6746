/** What oneself shows in a call: microphone, camera, screen. A device is opened when it is wanted and let go of when it is not. */

import { ref, shallowRef, watch } from 'vue'

import { chosenDevices } from './devices'
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
  readonly #lost: (what: Shown) => void
  #endMeter = (): void => undefined
  #stop: () => void
  #over = false

  /** `replaced`: another device of a kind that is open was chosen; `lost`: a track has ended by itself (pulled out, or the browser's own button). */
  constructor(replaced: (what: 'voice' | 'camera') => void, lost: (what: Shown) => void) {
    this.#lost = lost
    const { camera, microphone } = chosenDevices()
    const stops = [watch(camera, () => this.camera.value && replaced('camera')), watch(microphone, () => this.voice.value && replaced('voice'))]
    this.#stop = () => stops.forEach((stop) => stop())
  }

  /** Fails as the browser does: NotAllowedError, NotFoundError, NotReadableError … */
  async open(what: Shown): Promise<MediaStreamTrack> {
    const { camera, microphone } = chosenDevices()
    const devices = navigator.mediaDevices
    const stream =
      what === 'screen'
        ? await devices.getDisplayMedia({ video: { frameRate: { max: 15 } }, audio: false })
        : await devices.getUserMedia(what === 'voice' ? { audio: voiceWish(microphone.value) } : { video: cameraWish(camera.value) })
    const [track] = stream.getTracks()
    if (!track) throw new DOMException('no track', 'NotFoundError')
    if (this.#over) {
      track.stop() // the call was left while the browser asked
      throw new DOMException('left', 'AbortError')
    }
    this.shut(what)
    track.addEventListener('ended', () => {
      if (this[what].value !== track) return
      this.shut(what)
      this.#lost(what)
    })
    if (what === 'screen') track.contentHint = 'detail'
    this[what].value = track
    if (what === 'voice') this.#endMeter = levelMeter(new MediaStream([track]), (level) => (this.speaks.value = track.enabled && level > SPEAKS))
    return track
  }

  /** Lets go of the device: its light goes out. */
  shut(what: Shown): void {
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
    for (const what of ['voice', 'camera', 'screen'] as const) this.shut(what)
  }
}
