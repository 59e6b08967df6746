/** The words of the wallet as they travel: the types that are generated from the server's own. */

import type { ProviderChoice as Choice, Wallet as Contents } from '@vouch/realtime/http'
import type { Currency } from '@vouch/realtime/protocol'

export type {
  CheckedReceipt,
  Course,
  Day,
  GiveBack,
  Limit,
  Line,
  NewPayoutAccount,
  OrderKind,
  OrderState,
  Paid,
  Payment,
  Payments,
  PayOut,
  PayoutAccount,
  PayoutAccounts,
  PayPerson,
  Purse,
  Statement,
  TopUp,
  TransferKind,
} from '@vouch/realtime/http'

/** `charges`: the least and the most of one charge. The schema cannot say that these are pairs. */
export interface ProviderChoice extends Omit<Choice, 'charges'> {
  charges: Partial<Record<Currency, [number, number]>>
}

export interface Wallet extends Omit<Contents, 'providers'> {
  providers: ProviderChoice[]
}
