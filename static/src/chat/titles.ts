/** How a conversation is called and pictured for one of its members. */

import type { Conversation, PersonCard } from '../api/types'
import { translate } from '../i18n'

export interface Face {
  readonly id: string
  readonly name: string
  readonly src: string | null
  readonly group: boolean
}

/** The other one of a direct conversation. */
export function partnerOf(conversation: Conversation, me: string): string | null {
  if (conversation.kind !== 'direct') return null
  return conversation.members.find((member) => member.person !== me)?.person ?? null
}

/** The title of a group, the name of the other one. */
export function titleOf(conversation: Conversation, me: string, card: (id: string) => PersonCard | undefined): string {
  if (conversation.kind === 'group') return conversation.title
  const partner = partnerOf(conversation, me)
  return (partner !== null && card(partner)?.name) || translate('common.deletedPerson')
}

export function faceOf(conversation: Conversation, me: string, card: (id: string) => PersonCard | undefined): Face {
  const partner = partnerOf(conversation, me)
  if (conversation.kind === 'group' || partner === null) {
    return { id: conversation.id, name: titleOf(conversation, me, card), src: null, group: conversation.kind === 'group' }
  }
  const person = card(partner)
  return { id: partner, name: person?.name ?? '', src: person?.avatar ?? null, group: false }
}
