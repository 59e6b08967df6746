/** The room that this window is in, for the pages and for what stands on all of them. Empty while it is in none. */

import { computed, ref, type ComputedRef, type Ref } from 'vue'

import type { RoomActs, Trouble } from '../../calls/standing'
import type { Phase } from '../../calls/types'
import { useCalls } from '../../stores/calls'
import type { Quality } from './stage'

export interface RoomHere extends RoomActs {
  readonly phase: ComputedRef<Phase>
  readonly voice: ComputedRef<boolean>
  /** One is heard: not muted, or a key is held. */
  readonly heard: ComputedRef<boolean>
  readonly talking: ComputedRef<boolean>
  readonly camera: ComputedRef<boolean>
  readonly sharing: ComputedRef<boolean>
  readonly canShare: boolean
  readonly quality: ComputedRef<Quality>
  readonly soundBlocked: Ref<boolean>
  /** The last device that could not be opened, or is gone. */
  readonly trouble: ComputedRef<Trouble | null>
  /** Who has taken a picture of oneself last. */
  readonly taken: ComputedRef<{ readonly by: string } | null>
  qualityOf(person: string): Quality
  speaks(person: string): boolean
  /** Plays what the browser has kept silent; who plays something is asked by this. */
  playSound(): void
  whenPlayed(play: () => void): () => void
}

const players = new Set<() => void>()
const soundBlocked = ref(false)

export function useRoom(): RoomHere {
  const calls = useCalls()
  const here = computed(() => calls.room)
  const nothing = (): Promise<void> => Promise.resolve()
  const phase = computed<Phase>(() => here.value?.phase.value ?? 'connecting')
  const qualityOf = (person: string): Quality => here.value?.qualities.get(person) ?? 'unknown'
  const voice = computed(() => here.value?.voice.value ?? false)
  const talking = computed(() => here.value?.talking.value ?? false)
  return {
    phase,
    voice,
    talking,
    heard: computed(() => voice.value || talking.value),
    camera: computed(() => here.value?.camera.value ?? false),
    sharing: computed(() => here.value?.sharing.value ?? false),
    canShare: typeof navigator.mediaDevices?.getDisplayMedia === 'function',
    quality: computed(() => {
      if (phase.value === 'reconnecting' || phase.value === 'failed') return 'lost'
      return phase.value === 'connecting' ? 'unknown' : qualityOf(calls.me)
    }),
    soundBlocked,
    trouble: computed(() => here.value?.trouble.value ?? null),
    taken: computed(() => here.value?.taken.value ?? null),
    qualityOf,
    speaks: (person) => here.value?.speaking.value.has(person) ?? false,
    streamOf: (person, track) => here.value?.streamOf(person, track) ?? null,
    look: (at) => here.value?.look(at),
    setVoice: (on) => here.value?.setVoice(on) ?? nothing(),
    setCamera: (on) => here.value?.setCamera(on) ?? nothing(),
    setSharing: (on) => here.value?.setSharing(on) ?? nothing(),
    talk: (on) => here.value?.talk(on) ?? false,
    retry: () => here.value?.retry(),
    leave: () => here.value?.leave() ?? nothing(),
    cancel: () => here.value?.cancel() ?? nothing(),
    end: () => here.value?.end() ?? nothing(),
    remove: (person) => here.value?.remove(person) ?? nothing(),
    snapshot: (person) => here.value?.snapshot(person) ?? nothing(),
    askSnapshot: (person) => here.value?.askSnapshot(person) ?? nothing(),
    answerSnapshot: (ask, yes) => here.value?.answerSnapshot(ask, yes) ?? nothing(),
    record: (on) => here.value?.record(on) ?? nothing(),
    playSound: () => players.forEach((play) => play()),
    whenPlayed(play) {
      players.add(play)
      return () => void players.delete(play)
    },
  }
}
