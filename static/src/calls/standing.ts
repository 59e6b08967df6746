/** What a room is for the pages, and what it needs of the window around it. */

import type { ChannelHandle } from '@vouch/realtime'
import type { ComputedRef, Ref, ShallowReactive, ShallowRef } from 'vue'

import type { DeviceFault } from './faults'
import type { Shown } from './media'
import type { Quality } from './quality'
import type { CallView, Looked, Phase } from './types'

export interface Surroundings {
  readonly me: string
  /** `refused`: one may not look at it any more. */
  follow(id: string, tell: (call: CallView) => void, refused: () => void): () => void
  /** Tells whether there is a socket, now and with each change, until the answer is called. */
  heed(tell: (online: boolean) => void): () => void
  channel(id: string): ChannelHandle
  changed(call: CallView): void
  closed(): void
}

/** How good the line of each person is; whoever is not named is not known yet. */
export type Qualities = ShallowReactive<Map<string, Quality>>

export interface Trouble {
  readonly what: Shown
  readonly fault: DeviceFault
}

/** What one does in a room. */
export interface RoomActs {
  streamOf(person: string, track: 'voice' | 'camera' | 'screen'): MediaStream | null
  look(at: readonly Looked[]): void
  setVoice(on: boolean): Promise<void>
  setCamera(on: boolean): Promise<void>
  setSharing(on: boolean): Promise<void>
  talk(on: boolean): boolean
  retry(): void
  leave(): Promise<void>
  cancel(): Promise<void>
  end(): Promise<void>
  remove(person: string): Promise<void>
  snapshot(person: string): Promise<void>
  /** Asks somebody for a picture; it is taken when they say yes. */
  askSnapshot(person: string): Promise<void>
  /** Says yes or no to a picture of oneself, or takes one's own question back. */
  answerSnapshot(ask: string, yes: boolean): Promise<void>
  record(on: boolean): Promise<void>
}

export interface Room extends RoomActs {
  readonly call: ShallowRef<CallView>
  readonly phase: ComputedRef<Phase>
  /** What is shown: the microphone may be open and muted. */
  readonly voice: Ref<boolean>
  readonly camera: ComputedRef<boolean>
  readonly sharing: ComputedRef<boolean>
  /** Held for as long as a key is. */
  readonly talking: Ref<boolean>
  readonly speaking: ShallowRef<ReadonlySet<string>>
  readonly qualities: Qualities
  /** The last device that could not be opened, or is gone, and why. */
  readonly trouble: ShallowRef<Trouble | null>
  /** Counts the snapshots that others have taken of oneself; the last one's taker. */
  readonly taken: ShallowRef<{ by: string } | null>
  /** Lets go of everything without a word to the server. */
  close(): void
}
