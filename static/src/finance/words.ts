/** Names of the desk's things in the reader's language; a newer server may know more of them than this page. */

import { providerName } from '../components/money/words'
import { i18n, translate, type Values } from '../i18n'
import type { MessageKey } from '../locales/en'

/** The text of a key that may not exist. */
function textOf(key: string, values: Values = {}): string | null {
  return i18n.global.te(key) ? translate(key as MessageKey, values) : null
}

/** `available:p_…` as people say it. Several accounts are separated by commas. */
export function accountName(text: string, nameOf: (person: string) => string): string {
  return text
    .split(', ')
    .map((account) => {
      const [kind, owner] = [account.slice(0, account.indexOf(':')), account.slice(account.indexOf(':') + 1)]
      const name = owner.startsWith('p_') ? nameOf(owner) : kind === 'clearing' ? providerName(owner) : owner
      if (account === 'external:bank') return translate('finance.accounts.bank')
      return textOf(`finance.accounts.${kind}`, { name }) ?? account
    })
    .join(translate('finance.accounts.and'))
}

/** Why a reconciliation or an order failed, in words where there are some. */
export function faultName(fault: string): string {
  return textOf(`finance.faults.${fault}`) ?? fault
}
