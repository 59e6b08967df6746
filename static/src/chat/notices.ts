/** Notices of a conversation's log ("joined", "renamed" …) as sentences. */

import type { Translate } from '../i18n'
import { callFactsOf, callSentence } from './call-words'

export interface NoticeWords {
  readonly t: Translate
  readonly me: string
  readonly nameOf: (id: string) => string
  /** A moment in words. */
  readonly when: (at: number) => string
}

interface Notice {
  readonly kind: string
  readonly by: string
  readonly body: Readonly<Record<string, unknown>>
}

function text(body: Notice['body'], name: string): string {
  const value = body[name]
  return typeof value === 'string' ? value : ''
}

function list(body: Notice['body'], name: string): string[] {
  const value = body[name]
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : []
}

/** Everybody whom the sentence names. */
export function peopleIn(notice: Notice): string[] {
  return [text(notice.body, 'by'), text(notice.body, 'person'), ...list(notice.body, 'persons')].filter(Boolean)
}

export function noticeSentence(notice: Notice, words: NoticeWords): string {
  const { t, me } = words
  const { kind, body } = notice
  const actor = text(body, 'by') || notice.by
  const own = actor === me
  const name = (id: string): string => (id === me ? t('conversation.notice.you') : words.nameOf(id))
  const by = own ? '' : words.nameOf(actor)
  const person = name(text(body, 'person'))
  const title = text(body, 'title')
  switch (kind) {
    case 'created':
      if (actor === 'system') return t('conversation.notice.created', { title })
      return own ? t('conversation.notice.createdGroupYou', { title }) : t('conversation.notice.createdGroup', { by, title })
    case 'joined': {
      const persons = listed(list(body, 'persons').map(name), t)
      return own ? t('conversation.notice.joinedYou', { persons }) : t('conversation.notice.joined', { by, persons })
    }
    case 'left':
      return text(body, 'person') === me ? t('conversation.notice.leftYou') : t('conversation.notice.left', { person })
    case 'removed':
      return own ? t('conversation.notice.removedYou', { person }) : t('conversation.notice.removed', { by, person })
    case 'renamed':
      return own ? t('conversation.notice.renamedYou', { title }) : t('conversation.notice.renamed', { by, title })
    case 'handed_over':
      return own ? t('conversation.notice.handedOverYou', { person }) : t('conversation.notice.handedOver', { by, person })
    case 'closed':
      return t('conversation.notice.closed')
    case 'reopened':
      return t('conversation.notice.reopened')
    case 'erased':
      return t('conversation.notice.erased', { person: words.nameOf(text(body, 'person')) })
    case 'pinned':
      if (body['on'] === true) return own ? t('messages.notice.pinnedYou') : t('messages.notice.pinned', { by })
      return own ? t('messages.notice.unpinnedYou') : t('messages.notice.unpinned', { by })
    case 'role_changed':
      if (text(body, 'role') !== 'admin') return t('messages.notice.noAdmin', { person })
      return own ? t('messages.notice.adminYou', { person }) : t('messages.notice.admin', { by, person })
    case 'silenced': {
      const { until } = body
      if (typeof until !== 'number') return t('messages.notice.heard', { person })
      const told = { person, until: words.when(until) }
      return own ? t('messages.notice.silencedYou', told) : t('messages.notice.silenced', { by, ...told })
    }
    case 'rules_changed':
      return text(body, 'everybody_by') === 'admins' ? t('messages.notice.callsAdmins') : t('messages.notice.callsMembers')
    case 'call':
      return callSentence(callFactsOf(notice), me, words.nameOf, t)
    default:
      return t('conversation.notice.unknown')
  }
}

/** "A, B and C" in the reader's language. */
export function listed(names: readonly string[], t: Translate): string {
  if (names.length < 2) return names[0] ?? ''
  return t('conversation.notice.and', {
    list: names.slice(0, -1).join(t('conversation.notice.comma')),
    last: names.at(-1) ?? '',
  })
}
