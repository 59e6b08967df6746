/** The names that the pages of calls say. A call brings the cards of its people. */

import type { CallView } from '../../calls/types'
import { faceOf, type Face } from '../../chat/titles'
import { translate } from '../../i18n'
import { useConversations } from '../../stores/conversations'
import { usePeople } from '../../stores/people'
import { useSession } from '../../stores/session'

export interface CallWords {
  me(): string
  name(call: CallView, person: string): string
  avatar(call: CallView, person: string): string | null
  /** The other one of two, or the group. */
  face(call: CallView): Face
}

export function useCallWords(): CallWords {
  const session = useSession()
  const people = usePeople()
  const conversations = useConversations()
  const me = (): string => session.me?.id ?? ''
  const card = (call: CallView, person: string): { readonly name: string; readonly avatar: string | null } | undefined =>
    people.card(person) ?? call.people.find((each) => each.id === person)
  const name = (call: CallView, person: string): string => card(call, person)?.name || translate('common.deletedPerson')
  const avatar = (call: CallView, person: string): string | null => card(call, person)?.avatar ?? null
  return {
    me,
    name,
    avatar,
    face(call) {
      const conversation = conversations.byId.get(call.conversation)
      if (conversation && (conversation.kind === 'group' || people.card(conversation.members.find((member) => member.person !== me())?.person ?? ''))) return faceOf(conversation, me(), people.card)
      if (call.title) return { id: call.conversation, name: call.title, src: null, group: true }
      const other = call.seats.find((seat) => seat.person !== me())?.person ?? call.by
      return { id: other, name: name(call, other), src: avatar(call, other), group: false }
    },
  }
}
