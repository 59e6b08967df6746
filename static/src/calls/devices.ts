/** Cameras, microphones and loudspeakers of this device, and which of them somebody has chosen here. */

import { computed, ref, watch, type Ref } from 'vue'

export interface Choice {
  readonly id: string
  readonly label: string
}

const NAME = 'vouch.devices'

interface Chosen {
  readonly camera: string
  readonly microphone: string
  readonly speaker: string
}

function kept(): Partial<Chosen> {
  try {
    return JSON.parse(localStorage.getItem(NAME) ?? '{}') as Partial<Chosen>
  } catch {
    return {} // storage can be forbidden: then the system's own choice holds
  }
}

let chosen: { readonly [Name in keyof Chosen]: Ref<string> } | null = null

/** The camera that one has turned to: until a call has ended, or another one is chosen. */
const turned = ref('')

export function turnTo(camera: string): void {
  turned.value = camera
}
export function turnBack(): void {
  turned.value = ''
}

export function chosenDevices(): { readonly [Name in keyof Chosen]: Ref<string> } {
  if (chosen) return chosen
  const { camera = '', microphone = '', speaker = '' } = kept()
  const all = { camera: ref(camera), microphone: ref(microphone), speaker: ref(speaker) }
  watch([all.camera, all.microphone, all.speaker], ([nowCamera, nowMicrophone, nowSpeaker]) => {
    try {
      localStorage.setItem(NAME, JSON.stringify({ camera: nowCamera, microphone: nowMicrophone, speaker: nowSpeaker }))
    } catch {
      // as above
    }
  })
  const inUse = computed({
    get: () => turned.value || all.camera.value,
    set: (id) => {
      turnBack()
      all.camera.value = id
    },
  })
  return (chosen = { ...all, camera: inUse })
}

export async function devicesOf(): Promise<readonly MediaDeviceInfo[]> {
  try {
    return await navigator.mediaDevices.enumerateDevices()
  } catch {
    return []
  }
}
