/** The words of the finance desk as they travel: the types that are generated from the server's own. */

export type {
  AccountBalance,
  AdjustmentLine,
  Adjustments,
  Book,
  Books,
  BookState,
  DifferenceLine,
  DisputeLine,
  Disputes,
  Holdings,
  OrderKind,
  OrderLine,
  OrderList,
  OrderState,
  OrderView,
  ReconciliationLine,
  Reconciliations,
  ReconciliationView,
  Reckoning,
  TransferLine,
  Waiting,
} from '@vouch/realtime/http'

/** A part of an address, which the generated types do not name. */
export type ExportKind = 'journal' | 'orders'
