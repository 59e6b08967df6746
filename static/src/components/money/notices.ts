/** What the inbox tells of money, in words. */

import { translate } from '../../i18n'
import { CURRENCIES } from '../../money/currency'
import { moneyText } from '../../money/format'
import type { Notice } from '../../notifications/centre'
import { language } from '../../preferences'

export function moneyNotice(notice: Notice, nameOf: (person: string) => string, me: string): string {
  const { money } = notice
  switch (notice.kind) {
    case 'money_received': {
      const currency = CURRENCIES.find((each) => each === money?.currency)
      const values = { name: nameOf(notice.by), amount: currency === undefined ? '' : moneyText(money?.amount ?? 0, currency, language.value), ward: nameOf(money?.beneficiary ?? '') }
      return translate(money?.beneficiary !== '' && money?.beneficiary !== me ? 'wallet.inbox.receivedFor' : 'wallet.inbox.received', values)
    }
    case 'payment_ended':
      return translate(money?.state === 'done' ? 'wallet.inbox.ended' : 'wallet.inbox.failed', { what: translate(`wallet.orders.${kindOf(money?.kind)}`) })
    case 'payout_account_changed':
      return translate(notice.done === 'removed' ? 'wallet.inbox.accountRemoved' : 'wallet.inbox.accountAdded', { ending: money?.ending ?? '' })
    case 'dispute_decided':
      return translate('wallet.inbox.disputeDecided')
    default:
      return translate('wallet.inbox.adjusted')
  }
}

function kindOf(kind: string | undefined): 'charge' | 'refund' | 'pay_out' {
  return kind === 'refund' || kind === 'pay_out' ? kind : 'charge'
}
