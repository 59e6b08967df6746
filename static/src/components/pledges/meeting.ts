/** A meeting of two phones, looked at each second while it is shown: it lives for 90 seconds only. */

import { onBeforeUnmount, ref, shallowRef, type Ref, type ShallowRef } from 'vue'

import { pledges } from '../../api/pledges'
import type { MeetingView } from '../../pledges/types'

/** Milliseconds between two looks. */
const AGAIN = 1_000

export interface Meeting {
  readonly meeting: ShallowRef<MeetingView | null>
  readonly fault: ShallowRef<unknown>
  readonly busy: Ref<boolean>
  /** Begins one, scans one, or confirms it: what the server then says of it. */
  take(ask: () => Promise<MeetingView>): Promise<void>
  end(): void
}

export function useMeeting(attested: () => void = () => undefined): Meeting {
  const meeting = shallowRef<MeetingView | null>(null)
  const fault = shallowRef<unknown>(null)
  const busy = ref(false)
  let timer: ReturnType<typeof setTimeout> | undefined
  let turn = 0

  function show(fresh: MeetingView, mine: number): void {
    if (mine !== turn) return
    const before = meeting.value?.state
    // Only the answer to its beginning has the picture.
    meeting.value = { ...fresh, svg: fresh.svg ?? meeting.value?.svg ?? null, url: fresh.url ?? meeting.value?.url ?? null }
    if (fresh.state === 'attested' && before !== 'attested') attested()
    clearTimeout(timer)
    if (fresh.state === 'shown' || fresh.state === 'scanned') timer = setTimeout(() => void look(fresh, mine), AGAIN)
  }

  async function look(known: MeetingView, mine: number): Promise<void> {
    try {
      show(await pledges.meeting(known.id), mine)
    } catch {
      if (mine !== turn) return
      show(known.until <= Date.now() ? { ...known, state: 'over' } : known, mine)
    }
  }

  function end(): void {
    turn += 1
    clearTimeout(timer)
    meeting.value = null
    fault.value = null
    busy.value = false
  }

  onBeforeUnmount(end)

  return {
    meeting,
    fault,
    busy,
    async take(ask) {
      const mine = (turn += 1)
      clearTimeout(timer)
      busy.value = true
      fault.value = null
      try {
        show(await ask(), mine)
      } catch (error) {
        if (mine === turn) fault.value = error
      } finally {
        if (mine === turn) busy.value = false
      }
    },
    end,
  }
}
