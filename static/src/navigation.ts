/** The areas of the product, for the rail and for the bar of phones; and going back. */

import type { Area } from '@vouch/ui'
import { Bell, CircleUserRound, Gavel, Handshake, MessageCircle, Phone, UsersRound, WalletMinimal } from '@lucide/vue'
import { computed, type ComputedRef } from 'vue'
import { useRoute, useRouter } from 'vue-router'

import { useText } from './i18n'
import { useCalls } from './stores/calls'
import { useConversations } from './stores/conversations'
import { useDuties } from './stores/duties'
import { useNotices } from './stores/notices'
import { usePeople } from './stores/people'
import { usePledges } from './stores/pledges'
import { useSession } from './stores/session'

/** In the order of their importance: the bar of phones shows the first four and "More". */
export function useAreas(): ComputedRef<readonly Area[]> {
  const { t } = useText()
  const route = useRoute()
  const conversations = useConversations()
  const people = usePeople()
  const notices = useNotices()
  const pledges = usePledges()
  const calls = useCalls()
  const duties = useDuties()
  const session = useSession()
  return computed(() => {
    const area = (id: string, text: string, icon: Area['icon'], count = 0, countLabel = ''): Area => ({ id, to: `/${id}`, text, icon, active: route.meta.area === id, count, countLabel })
    return [
      area('chats', t('app.areas.chats'), MessageCircle, conversations.unread, t('common.unread', {}, conversations.unread)),
      area('pledges', t('pledges.area'), Handshake, pledges.waiting, t('pledges.waiting', {}, pledges.waiting)),
      area('calls', t('callNews.area'), Phone, calls.rings.length, t('callNews.ringing', {}, calls.rings.length)),
      area('inbox', t('notifications.area'), Bell, notices.unread, t('notifications.unread', {}, notices.unread)),
      area('people', t('app.areas.people'), UsersRound, people.requestCount, t('people.requests', {}, people.requestCount)),
      area('me', t('app.areas.me'), CircleUserRound),
      // Who is under 18 has a guardian for that, and is not reminded of it.
      ...(session.me?.minor ? [] : [area('wallet', t('wallet.area'), WalletMinimal)]),
      ...(duties.isStaff || duties.isFinance ? [area('desk', t('admin.area'), Gavel, duties.waiting, t('finance.waits', {}, duties.waiting))] : []),
    ]
  })
}

/** Going back: along the history when the page above was the last one, else straight to it. */
export function useBack(): (parent: string) => void {
  const router = useRouter()
  return (parent) => {
    const last: unknown = window.history.state?.back
    if (last === parent) router.back()
    else void router.replace(parent)
  }
}
