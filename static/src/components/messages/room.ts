/** What the messages of one conversation share: who reads, what may be done, and who does it. Provided by the view around them. */

import { inject, provide, type ComputedRef, type InjectionKey, type Ref } from 'vue'

import type { Conversation } from '../../api/types'
import type { MessageAction, Standing } from '../../chat/actions'
import type { Link } from '../../chat/links'
import type { MessageRow } from '../../chat/rows'

export interface MessageRoom {
  readonly conversation: ComputedRef<Conversation>
  readonly standing: ComputedRef<Standing>
  /** The numbers of the messages chosen; null while none are being chosen. */
  readonly selection: Ref<ReadonlySet<number> | null>
  act(action: MessageAction, row: MessageRow, beside: HTMLElement): void
  toggleReaction(row: MessageRow, emoji: string): void
  /** Shows who reacted how. */
  showReactions(row: MessageRow): void
  toggleSelected(row: MessageRow): void
  /** Shows the message with this number in its place. */
  jump(seq: number): void
  openThread(seq: number): void
  retry(id: string): void
  discard(id: string): void
  /** Follows a link whose words are not its address: asks first. */
  follow(link: Link): void
}

const ROOM: InjectionKey<MessageRoom> = Symbol('room')

export function provideRoom(room: MessageRoom): void {
  provide(ROOM, room)
}

export function useRoom(): MessageRoom {
  const room = inject(ROOM)
  if (!room) throw new Error('a message stands outside of a conversation')
  return room
}

/** For what may also be shown elsewhere, in a list of pins or of hits. */
export function useRoomIfAny(): MessageRoom | null {
  return inject(ROOM, null)
}
