/** The second line of a conversation in the list. Pure. */

import type { Media, Pending } from '@vouch/realtime'

import type { Conversation } from '../api/types'
import type { Translate } from '../i18n'
import { plainOf } from './markdown'
import { noticeSentence } from './notices'
import type { MessageState } from './rows'
import { isModifier, wordsOf } from './timeline'

export interface PreviewContext {
  readonly t: Translate
  readonly me: string
  readonly nameOf: (id: string) => string
  readonly draft: string
  readonly typing: readonly string[]
  readonly pending: readonly Pending[]
  /** A moment in words. */
  readonly when: (at: number) => string
}

export interface Preview {
  readonly text: string
  /** `live`: somebody types; `draft`: one's own unsent words. */
  readonly tone: 'plain' | 'live' | 'draft'
  /** Where the own newest message is on its way; null when it is somebody else's, or arrived. */
  readonly state: MessageState | null
}

const oneLine = (text: string): string => text.replace(/\s+/gu, ' ').trim()

/** What a message carries, in words. */
export function mediaWords(media: readonly Pick<Media, 'kind' | 'name'>[], t: Translate): string {
  const [first] = media
  if (!first) return ''
  if (media.some((each) => each.kind !== first.kind)) return t('messages.media.mixed', {}, media.length)
  if (first.kind === 'file' && media.length === 1) return first.name
  return t(`messages.media.${first.kind}`, {}, media.length)
}

/** What a message says, on one line: its words, else what it carries. */
export function lineOf(body: Readonly<Record<string, unknown>>, t: Translate): string {
  const { text, media } = wordsOf(body)
  return plainOf(text) || mediaWords(media, t)
}

export function previewOf(conversation: Conversation, context: PreviewContext): Preview {
  const { t, me, nameOf } = context
  if (context.typing.length > 0) return { text: t('chats.preview.typing'), tone: 'live', state: null }
  if (context.draft.trim()) return { text: t('chats.preview.draft', { text: oneLine(context.draft) }), tone: 'draft', state: null }
  const unsent = context.pending.findLast((each) => each.kind === 'message' && each.state !== 'sent')
  if (unsent) {
    return { text: t('chats.preview.you', { text: lineOf(unsent.body, t) }), tone: 'plain', state: unsent.state }
  }
  const { last } = conversation
  if (last === null || isModifier(last) || (last.kind === 'created' && conversation.kind === 'direct')) {
    return { text: t('chats.preview.empty'), tone: 'plain', state: null }
  }
  if (last.kind !== 'message') return { text: noticeSentence(last, { t, me, nameOf, when: context.when }), tone: 'plain', state: null }
  const text = last.gone ? t('chats.preview.deleted') : lineOf(last.body, t)
  const own = last.by === me
  if (own) return { text: t('chats.preview.you', { text }), tone: 'plain', state: 'sent' }
  return {
    text: conversation.kind === 'group' ? t('chats.preview.by', { name: nameOf(last.by), text }) : text,
    tone: 'plain',
    state: null,
  }
}
