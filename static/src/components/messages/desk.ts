/** What is done with the messages of one conversation, in its own view and in the side view of a thread. */

import { showToast } from '@vouch/ui'
import { computed, onBeforeUnmount, ref, shallowRef, watch, type ComputedRef, type Ref, type ShallowRef } from 'vue'
import { useRoute, useRouter } from 'vue-router'

import { api } from '../../api'
import type { Conversation } from '../../api/types'
import type { MessageAction, Standing } from '../../chat/actions'
import type { Link } from '../../chat/links'
import type { MessageRow } from '../../chat/rows'
import { useText } from '../../i18n'
import { sentence, sentenceOf } from '../../sentences'
import { useConnection } from '../../stores/connection'
import { useConversations } from '../../stores/conversations'
import { useDrafts } from '../../stores/drafts'
import { useSession } from '../../stores/session'
import { useUploads } from '../../stores/uploads'
import { provideRoom, type MessageRoom } from './room'

/** What has been opened about one or several messages. */
export type Opened =
  | { readonly kind: 'delete'; readonly rows: readonly MessageRow[] }
  | { readonly kind: 'forward'; readonly rows: readonly MessageRow[] }
  | { readonly kind: 'versions'; readonly row: MessageRow }
  | { readonly kind: 'report'; readonly row: MessageRow }
  | { readonly kind: 'readers'; readonly row: MessageRow }
  | { readonly kind: 'reactions'; readonly row: MessageRow }
  | { readonly kind: 'leave'; readonly link: Link }

export interface Desk extends MessageRoom {
  readonly opened: ShallowRef<Opened | null>
  /** The message that gets a reaction, and what its panel stands beside. */
  readonly reacting: ShallowRef<{ readonly row: MessageRow; readonly beside: HTMLElement } | null>
  erase(rows: readonly MessageRow[]): void
  copyAll(rows: readonly MessageRow[]): Promise<void>
}

interface Place {
  readonly conversation: ComputedRef<Conversation>
  /** One may write here now. */
  readonly writable: ComputedRef<boolean>
  /** Where the composer keeps its draft. */
  readonly draft: string
  readonly inThread: boolean
  /** Moves the focus to the composer. */
  readonly write: () => void
  /** Shows a message that is loaded; false when it is not. */
  readonly show: (seq: number) => boolean
}

export function useDesk({ conversation, writable, draft, inThread, write, show }: Place): Desk {
  const { t } = useText()
  const route = useRoute()
  const router = useRouter()
  const session = useSession()
  const connection = useConnection()
  const uploads = useUploads()
  const conversations = useConversations()
  const drafts = useDrafts()
  const { id } = conversation.value
  const me = session.me?.id ?? ''

  const opened: Desk['opened'] = shallowRef(null)
  const reacting: Desk['reacting'] = shallowRef(null)
  const selection: Ref<ReadonlySet<number> | null> = ref(null)

  const standing = computed<Standing>(() => {
    const roles = new Map(conversation.value.members.map(({ person, role }) => [person, role]))
    return { me, inThread, group: conversation.value.kind === 'group', writable: writable.value, rankOf: (person) => roles.get(person) ?? null }
  })

  async function copyText(text: string, done: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(text)
      showToast(done, 'good')
    } catch (error) {
      showToast(sentence(error), 'wrong') // the browser does not allow it
    }
  }

  async function pin(row: MessageRow, on: boolean): Promise<void> {
    try {
      conversations.take(await (on ? api.pin(id, row.seq) : api.unpin(id, row.seq)))
      showToast(t(on ? 'messages.pins.done' : 'messages.pins.undone'), 'good')
    } catch (error) {
      showToast(sentence(error), 'wrong')
    }
  }

  function toggleSelected(row: MessageRow): void {
    if (row.seq === 0 || row.gone) return
    const chosen = new Set(selection.value)
    if (!chosen.delete(row.seq)) chosen.add(row.seq)
    selection.value = chosen
  }

  function openThread(seq: number): void {
    void router.push(`/chats/${id}/threads/${seq}`)
  }

  function act(action: MessageAction, row: MessageRow, beside: HTMLElement): void {
    switch (action) {
      case 'reply':
        drafts.change(draft, { reply: row.seq, edit: null })
        write()
        break
      case 'edit':
        drafts.change(draft, { edit: { seq: row.seq, text: row.text } })
        write()
        break
      case 'react':
        reacting.value = { row, beside }
        break
      case 'thread':
        openThread(row.thread ?? row.seq)
        break
      case 'copy':
        void copyText(row.text, t('conversation.copied'))
        break
      case 'link':
        void copyText(`${window.location.origin}/chats/${id}?at=${row.seq}`, t('messages.linkCopied'))
        break
      case 'select':
        selection.value = new Set([row.seq])
        break
      case 'pin':
      case 'unpin':
        void pin(row, action === 'pin')
        break
      case 'delete':
      case 'forward':
        opened.value = { kind: action, rows: [row] }
        break
      case 'versions':
      case 'readers':
      case 'report':
        opened.value = { kind: action, row }
        break
    }
  }

  function toggleReaction(row: MessageRow, emoji: string): void {
    conversations.react(id, row.seq, emoji, !row.chips.some((chip) => chip.emoji === emoji && chip.own))
  }

  async function jump(seq: number): Promise<void> {
    if (show(seq)) return
    // Beside a wide chat the thread stays where it is.
    const stays = route.path.startsWith(`/chats/${id}`) && window.matchMedia('(min-width: 1100px)').matches
    const path = stays ? route.path : `/chats/${id}`
    // The message of the address may be wanted again.
    if (route.query['at'] === String(seq)) await router.replace({ path })
    await router.replace({ path, query: { at: String(seq) } })
  }

  // A reaction that was refused has not happened; there is no message of its own that could say so.
  const stopRefusals = watch(
    () => conversations.pendingIn(id).filter((each) => each.kind === 'reaction' && each.state === 'failed'),
    (refused) => {
      for (const each of refused) {
        connection.discard(each.id)
        showToast(sentenceOf(each.error?.code ?? 'internal'), 'wrong')
      }
    },
    { immediate: true },
  )
  onBeforeUnmount(stopRefusals)

  const desk: Desk = {
    conversation,
    standing,
    selection,
    opened,
    reacting,
    act,
    toggleReaction,
    toggleSelected,
    jump: (seq) => void jump(seq),
    openThread,
    retry: (pending) => void (uploads.has(pending) ? uploads.retry(pending) : connection.retry(pending)),
    discard: (pending) => void (uploads.has(pending) ? uploads.cancel(pending) : connection.discard(pending)),
    follow: (link) => (opened.value = { kind: 'leave', link }),
    showReactions: (row) => (opened.value = { kind: 'reactions', row }),
    erase: (rows) => {
      for (const row of rows) conversations.erase(id, row.seq)
      selection.value = null
    },
    copyAll: async (rows) => {
      await copyText(rows.map((row) => row.text).filter(Boolean).join('\n\n'), t('conversation.copied'))
      selection.value = null
    },
  }
  provideRoom(desk)
  return desk
}
