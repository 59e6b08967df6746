/** The keys of a call: M, V, P, L, F, and the space bar to be heard for as long as it is held. */

import { onBeforeUnmount, onMounted } from 'vue'

import { isCovered, isWriting, useShortcuts } from '../../shortcuts'

export interface RoomActs {
  voice(): void
  camera(): void
  people(): void
  way(): void
  full(): void
  /** Heard, or no more. False: there is nothing to change, one is heard anyway. */
  talk(on: boolean): boolean
  /** Closes what lies over the stage; false: nothing does. */
  away(): boolean
}

/** On a button the space bar presses it. */
function isPressable(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('button, a, summary, [role="menuitem"]') !== null
}

export function useRoomKeys(acts: RoomActs): void {
  let held = false

  function down(event: KeyboardEvent): void {
    if (event.key !== ' ' || event.ctrlKey || event.altKey || event.metaKey || isCovered() || isWriting(event.target) || isPressable(event.target)) return
    event.preventDefault()
    if (!event.repeat && !held) held = acts.talk(true)
  }
  function release(): void {
    if (held) acts.talk(false)
    held = false
  }
  function up(event: KeyboardEvent): void {
    if (event.key === ' ') release()
  }

  onMounted(() => {
    window.addEventListener('keydown', down)
    window.addEventListener('keyup', up)
    // Whoever looks at another window lets go there.
    window.addEventListener('blur', release)
  })
  onBeforeUnmount(() => {
    release()
    window.removeEventListener('keydown', down)
    window.removeEventListener('keyup', up)
    window.removeEventListener('blur', release)
  })

  useShortcuts([
    { group: 'calls', text: 'calls.keys.mute', keys: ['M'], run: () => acts.voice() },
    { group: 'calls', text: 'calls.keys.camera', keys: ['V'], run: () => acts.camera() },
    { group: 'calls', text: 'calls.keys.talk', keys: ['Space'] },
    { group: 'calls', text: 'calls.keys.people', keys: ['P'], run: () => acts.people() },
    { group: 'calls', text: 'calls.keys.layout', keys: ['L'], run: () => acts.way() },
    { group: 'calls', text: 'calls.keys.full', keys: ['F'], run: () => acts.full() },
    { group: 'calls', text: 'calls.keys.close', keys: ['Escape'], run: () => acts.away() },
  ])
}
