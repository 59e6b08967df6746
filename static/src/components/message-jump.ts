/** The address of a message, /chats/:id?at=<number>: loads what is around it, shows it, and marks it for a moment. */

import { showToast } from '@vouch/ui'
import { nextTick, ref, watch, type Ref } from 'vue'
import { useRoute } from 'vue-router'

import { itemAt } from '../chat/timeline'
import { useText } from '../i18n'
import { sentence } from '../sentences'
import { useTimelines } from '../stores/timelines'

function numberOf(at: unknown): number | null {
  const seq = typeof at === 'string' && /^\d{1,15}$/.test(at) ? Number(at) : 0
  return seq > 0 ? seq : null
}

/** `open` loads the newest page. True while a message is on its way: nothing else should be shown in between. */
export function useMessageJump(id: string, open: () => Promise<void>, list: Readonly<Ref<{ show: (seq: number) => void } | null>>): Readonly<Ref<boolean>> {
  const { t } = useText()
  const route = useRoute()
  const timelines = useTimelines()
  const going = ref(false)

  async function go(seq: number): Promise<void> {
    going.value = true
    try {
      await open()
      if (!(await timelines.goTo(id, seq))) return
      going.value = false
      await nextTick() // the rows are there
      list.value?.show(seq)
      if (!itemAt(timelines.get(id).snapshot, seq)) showToast(t('shell.history.notThere'))
    } catch (error) {
      showToast(sentence(error), 'wrong')
    } finally {
      going.value = false
    }
  }

  watch(
    () => numberOf(route.params['id'] === id ? route.query['at'] : null),
    (seq) => seq !== null && void go(seq),
    { immediate: true },
  )
  return going
}
