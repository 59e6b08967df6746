/** The shortcuts that work on every page, and those of other parts that the overview lists. */

import { ref, type Ref } from 'vue'
import { useRoute, useRouter } from 'vue-router'

import { unreadOf } from '../chat/conversation'
import { useShortcuts } from '../shortcuts'
import { useConversations } from '../stores/conversations'

/** Whether the overview is open. */
export function useShellKeys(areas: () => readonly { readonly to: unknown }[]): Ref<boolean> {
  const route = useRoute()
  const router = useRouter()
  const conversations = useConversations()
  const overview = ref(false)

  function step(by: 1 | -1, wanted: (id: string) => boolean): boolean {
    const ids = conversations.list.map((each) => each.id)
    const at = ids.indexOf(String(route.params['id'] ?? ''))
    for (let next = at === -1 && by < 0 ? ids.length - 1 : at + by; next >= 0 && next < ids.length; next += by) {
      const id = ids[next]
      if (id === undefined || !wanted(id)) continue
      void router.push(`/chats/${id}`)
      return true
    }
    return false
  }

  const isUnread = (id: string): boolean => {
    const conversation = conversations.byId.get(id)
    return conversation !== undefined && unreadOf(conversation) > 0
  }

  /** The page above this one: from a detail to its chat. */
  function close(): boolean {
    if (route.meta.pane !== 'detail' || typeof route.params['id'] !== 'string') return false
    void router.push(`/chats/${route.params['id']}`)
    return true
  }

  function toArea(event: KeyboardEvent): boolean {
    const area = areas()[Number(event.key) - 1]
    if (typeof area?.to !== 'string') return false
    void router.push(area.to)
    return true
  }

  useShortcuts([
    { group: 'general', text: 'shell.keys.overview', keys: ['?'], run: () => void (overview.value = true) },
    { group: 'general', text: 'shell.keys.search', keys: ['Mod+K', '/'] },
    { group: 'general', text: 'shell.keys.close', keys: ['Escape'], run: close, whileWriting: true },
    { group: 'general', text: 'shell.keys.areas', keys: ['Alt+1', 'Alt+2', 'Alt+3', 'Alt+4', 'Alt+5'], run: toArea, whileWriting: true },
    { group: 'chats', text: 'shell.keys.previous', keys: ['Alt+ArrowUp'], run: () => step(-1, () => true), whileWriting: true },
    { group: 'chats', text: 'shell.keys.next', keys: ['Alt+ArrowDown'], run: () => step(1, () => true), whileWriting: true },
    { group: 'chats', text: 'shell.keys.previousUnread', keys: ['Alt+Shift+ArrowUp'], run: () => step(-1, isUnread), whileWriting: true },
    { group: 'chats', text: 'shell.keys.nextUnread', keys: ['Alt+Shift+ArrowDown'], run: () => step(1, isUnread), whileWriting: true },
    { group: 'messages', text: 'shell.keys.pages', keys: ['PageUp', 'PageDown'] },
    { group: 'messages', text: 'shell.keys.oldest', keys: ['Home'] },
    { group: 'messages', text: 'shell.keys.newest', keys: ['End'] },
    { group: 'writing', text: 'shell.keys.send', keys: ['Enter'] },
    { group: 'writing', text: 'shell.keys.newLine', keys: ['Shift+Enter'] },
    { group: 'writing', text: 'shell.keys.edit', keys: ['ArrowUp'] },
  ])
  return overview
}
