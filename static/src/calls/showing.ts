/** What oneself shows in a room: devices are opened and let go of, and whoever listens hears of each change. */

import { computed, ref, shallowRef, type ComputedRef, type Ref, type ShallowRef } from 'vue'

import { deviceFault } from './faults'
import { OwnMedia, type Shown } from './media'
import type { Publisher } from './publisher'
import type { Trouble } from './standing'

export interface Showing {
  readonly media: OwnMedia
  readonly voice: Ref<boolean>
  readonly talking: Ref<boolean>
  readonly camera: ComputedRef<boolean>
  readonly sharing: ComputedRef<boolean>
  readonly trouble: ShallowRef<Trouble | null>
  /** What one's seat says of it. */
  shown(): { voice: boolean; camera: boolean; screen: boolean }
  /** Puts what is open onto the present connection. */
  put(): Promise<void>
  /** Rejects with DeviceError; `trouble` says so, too. `only`: this device, and no other. */
  show(what: Shown, on: boolean, only?: string): Promise<void>
  setVoice(on: boolean): Promise<void>
  talk(on: boolean): boolean
  stream(what: 'camera' | 'screen'): MediaStream | null
}

export interface Listener {
  /** The present connection, where there is one. */
  link(): Publisher | null
  over(): boolean
  /** What is shown may have changed. */
  told(): void
}

/** Within an effect scope of the room's. */
export function openShowing({ link, over, told }: Listener): Showing {
  const voice = ref(false)
  const talking = ref(false)
  const trouble = shallowRef<Trouble | null>(null)
  const media = new OwnMedia((what) => void show(what, true).catch(() => undefined), (what, device) => void lost(what, device))
  const camera = computed(() => media.camera.value !== null)
  const sharing = computed(() => media.screen.value !== null)
  const streams = new Map<MediaStreamTrack, MediaStream>()

  async function put(): Promise<void> {
    const publisher = link()
    if (!publisher) return
    await Promise.all([publisher.show('voice', media.voice.value), publisher.show('camera', media.camera.value), publisher.show('screen', media.screen.value)])
  }

  function hear(): void {
    if (media.voice.value) media.voice.value.enabled = voice.value || talking.value
  }

  async function show(what: Shown, on: boolean, only?: string): Promise<void> {
    trouble.value = null
    try {
      if (on) await media.open(what, only)
      else media.shut(what)
    } catch (error) {
      if (over()) return
      const fault = deviceFault(error)
      // Who closes the browser's choice of a screen has changed their mind.
      if (what === 'screen' && fault === 'refused') return
      trouble.value = { what, fault }
      throw error
    } finally {
      if (!over()) {
        hear()
        await put().catch(() => undefined)
        told()
      }
    }
  }

  async function setVoice(on: boolean): Promise<void> {
    if (on && media.voice.value === null) await show('voice', true)
    if (over()) return
    voice.value = on && media.voice.value !== null
    hear()
    told()
  }

  /**
   * A device was pulled out: the next microphone takes its place. Another camera would show what nobody has agreed to: only the same one is
   * opened again. In either case it is told. A screen is only ended.
   */
  async function lost(what: Shown, device: string | undefined): Promise<void> {
    const heard = voice.value
    if (what === 'voice') voice.value = false
    void put().catch(() => undefined)
    told()
    if (what === 'screen') return
    try {
      await show(what, true, what === 'camera' ? (device ?? '') : undefined)
      if (over() || media[what].value === null || what === 'camera') return
      await setVoice(heard)
      trouble.value = { what, fault: 'replaced' }
    } catch (error) {
      // Taken away in the settings of the browser it ends just as if it were pulled out.
      trouble.value = { what, fault: deviceFault(error) === 'refused' ? 'refused' : 'unplugged' }
    }
  }

  function talk(on: boolean): boolean {
    if (on && (voice.value || media.voice.value === null)) return false
    talking.value = on
    hear()
    told()
    return true
  }

  function stream(what: 'camera' | 'screen'): MediaStream | null {
    const track = media[what].value
    if (!track) return null
    const known = streams.get(track) ?? new MediaStream([track])
    streams.set(track, known)
    return known
  }

  return {
    media,
    voice,
    talking,
    camera,
    sharing,
    trouble,
    shown: () => ({ voice: (voice.value || talking.value) && media.voice.value !== null, camera: camera.value, screen: sharing.value }),
    put,
    show,
    setVoice,
    talk,
    stream,
  }
}
