/** Saves a receipt as a file; told in words when that fails. */

import { ref, type Ref } from 'vue'
import { showToast } from '@vouch/ui'

import { money } from '../../api/wallet'
import { language } from '../../preferences'
import { sentence } from '../../sentences'

export interface Receipts {
  /** The transfer whose receipt is on its way. */
  readonly saving: Ref<string | null>
  save(transfer: string): Promise<void>
}

/** Milliseconds after which the browser has surely taken the file. */
const TAKEN = 60_000

export function useReceipts(): Receipts {
  const saving = ref<string | null>(null)
  return {
    saving,
    async save(transfer) {
      if (saving.value !== null) return
      saving.value = transfer
      try {
        const address = URL.createObjectURL(await money.receipt(transfer, language.value))
        const link = document.createElement('a')
        link.href = address
        link.download = `vouch-${transfer}.pdf`
        link.click()
        setTimeout(() => URL.revokeObjectURL(address), TAKEN)
      } catch (error) {
        showToast(sentence(error), 'wrong')
      } finally {
        saving.value = null
      }
    },
  }
}
