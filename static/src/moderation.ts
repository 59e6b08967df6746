/** The words of moderation that several pages share (docs/moderation.md). */

import type { Measure, Reason } from './api/types'

export type ReportReason = Reason

export const REASONS: readonly ReportReason[] = ['spam', 'insult', 'hate', 'threat', 'sexual', 'privacy', 'fraud', 'self_harm', 'other']

/** Characters. */
export const REPORT_NOTE_LONGEST = 1_000

/** A message by `person`, or the person where `seq` is left out. */
export type ReportTarget =
  | { readonly person: string; readonly conversation: string; readonly seq: number }
  | { readonly person: string; readonly conversation?: undefined; readonly seq?: undefined }

/** For how long staff suspend somebody, in hours. */
export const SUSPENSIONS = ['24', '72', '168', '720', '8760'] as const
export type SuspensionHours = (typeof SUSPENSIONS)[number]

export const MEASURES: readonly Measure[] = ['remove', 'warn', 'suspend']

/** For how long a group's admins keep somebody from writing, in hours. */
export const SILENCES = ['1', '24', '168', '8760'] as const
export type SilenceHours = (typeof SILENCES)[number]
