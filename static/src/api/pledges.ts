/** The calls about pledges: apart from the others, for chats do without them. */

import type { Operations } from '@vouch/realtime/http'
import type * as wire from '@vouch/realtime/http'

import { call } from '.'
import type { Currency } from '../money/currency'
import type { CheckAnswer, Fund, Funding, NewCohort, NewPledge, Outcome, PledgeState, PledgeView, Report, Stamp, StakeKind } from '../pledges/types'
import { request } from './http'

/** What the list of one's own is asked; null: not told. */
export interface OwnWishes {
  readonly role: string | null
  readonly state: PledgeState | null
}

/** What the list of those that seek a supervisor is asked; amounts in minor units of `currency`. */
export interface OpenWishes {
  readonly q: string
  readonly kind: StakeKind | null
  readonly currency: Currency | null
  readonly least: number | null
  readonly most: number | null
}

function asked(path: string, values: object): string {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== '')
  return given.length ? `${path}?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : path
}

function ask<N extends 'list_pledges' | 'list_open_pledges'>(path: Operations[N]['path'], values: object): Promise<Operations[N]['answer']> {
  return request('GET', asked(path, values))
}

/** The terms of an answer are whole: what may be left out when they are sent is told. */
async function whole(answer: Promise<wire.PledgeView>): Promise<PledgeView> {
  return (await answer) as PledgeView
}

async function wholeFunding(answer: Promise<wire.Funding>): Promise<Funding> {
  return (await answer) as Funding
}

const task = (id: string, n: number): { id: string; n: string } => ({ id, n: String(n) })

export const pledges = {
  // ── drafting ──
  preview: (wanted: NewPledge) => call<'preview_pledge'>('POST', '/api/v1/pledges/preview', {}, wanted),
  draft: (wanted: NewPledge) => whole(call<'draft_pledge'>('POST', '/api/v1/pledges', {}, wanted)),
  change: (id: string, wanted: NewPledge) => whole(call<'edit_pledge'>('PUT', '/api/v1/pledges/{id}', { id }, wanted)),
  publish: (id: string) => whole(call<'publish_pledge'>('POST', '/api/v1/pledges/{id}/publish', { id })),
  /** Takes a draft away, calls a pledge off, or asks the others to. */
  remove: (id: string) => whole(call<'call_off_pledge'>('DELETE', '/api/v1/pledges/{id}', { id })),
  templates: () => call<'list_pledge_templates'>('GET', '/api/v1/pledge-templates', {}),

  // ── looking ──
  mine: (wishes: OwnWishes, before: string | null, limit = 30) => ask<'list_pledges'>('/api/v1/pledges', { ...wishes, before, limit }),
  open: (wishes: OpenWishes, before: string | null, limit = 30) => ask<'list_open_pledges'>('/api/v1/pledges/open', { ...wishes, before, limit }),
  /** `link` is what the address that was handed on carries. */
  get: (id: string, link = '') => whole(request('GET', asked(`/api/v1/pledges/${encodeURIComponent(id)}`, { link }))),

  // ── meeting ──
  apply: (id: string, words: string, link = '') => whole(request('POST', asked(`/api/v1/pledges/${encodeURIComponent(id)}/application`, { link }), { words })),
  withdraw: (id: string) => whole(call<'withdraw_application'>('DELETE', '/api/v1/pledges/{id}/application', { id })),
  acceptApplicant: (id: string, person: string) => whole(call<'accept_applicant'>('POST', '/api/v1/pledges/{id}/applicants/{person}/accept', { id, person })),
  declineApplicant: (id: string, person: string) => whole(call<'decline_applicant'>('POST', '/api/v1/pledges/{id}/applicants/{person}/decline', { id, person })),
  invite: (id: string, people: string[], hours: number) => whole(call<'invite_supervisors'>('POST', '/api/v1/pledges/{id}/invitations', { id }, { people, hours })),
  acceptInvitation: (id: string) => whole(call<'accept_invitation'>('POST', '/api/v1/pledges/{id}/invitation/accept', { id })),
  declineInvitation: (id: string) => whole(call<'decline_invitation'>('POST', '/api/v1/pledges/{id}/invitation/decline', { id })),
  consent: (id: string) => whole(call<'consent_to_pledge'>('POST', '/api/v1/pledges/{id}/consent', { id })),
  refuse: (id: string) => whole(call<'refuse_pledge'>('DELETE', '/api/v1/pledges/{id}/consent', { id })),
  leave: (id: string) => whole(call<'leave_pledge'>('POST', '/api/v1/pledges/{id}/leave', { id })),
  beginCohort: (wanted: NewCohort) => call<'begin_cohort'>('POST', '/api/v1/cohorts', {}, wanted),
  cohort: (id: string) => call<'get_cohort'>('GET', '/api/v1/cohorts/{id}', { id }),

  // ── the stake ──
  fund: (id: string, wanted: Fund) => wholeFunding(call<'fund_pledge'>('POST', '/api/v1/pledges/{id}/funding', { id }, wanted)),
  funding: (id: string, payment: string) => wholeFunding(call<'get_funding'>('GET', '/api/v1/pledges/{id}/funding/{payment}', { id, payment })),
  cancelFunding: (id: string, payment: string) => whole(call<'cancel_funding'>('DELETE', '/api/v1/pledges/{id}/funding/{payment}', { id, payment })),
  choreDone: (id: string) => whole(call<'confirm_chore'>('POST', '/api/v1/pledges/{id}/chore', { id })),

  // ── judging ──
  report: (id: string, n: number, wanted: Report) => whole(call<'report_task'>('POST', '/api/v1/pledges/{id}/tasks/{n}/report', task(id, n), wanted)),
  stamp: (id: string, n: number, wanted: Stamp) => whole(call<'stamp_task'>('POST', '/api/v1/pledges/{id}/tasks/{n}/stamps', task(id, n), wanted)),
  askCheck: (id: string, n: number) => whole(call<'ask_check'>('POST', '/api/v1/pledges/{id}/tasks/{n}/checks', task(id, n))),
  answerCheck: (id: string, n: number, check: string, answer: CheckAnswer) => whole(call<'answer_check'>('POST', '/api/v1/pledges/{id}/tasks/{n}/checks/{check}', { ...task(id, n), check }, answer)),
  /** Of one task, or (0) of the whole. */
  admit: (id: string, of: number, words: string) => whole(call<'admit_failure'>('POST', '/api/v1/pledges/{id}/admission', { id }, { task: of, words })),
  agree: (id: string) => whole(call<'accept_outcome'>('POST', '/api/v1/pledges/{id}/agreement', { id })),

  // ── meeting in person ──
  beginMeeting: (id: string, n: number) => call<'begin_meeting'>('POST', '/api/v1/pledges/{id}/tasks/{n}/meetings', task(id, n)),
  meeting: (meeting: string) => call<'get_meeting'>('GET', '/api/v1/pledges/meetings/{meeting}', { meeting }),
  scan: (code: string) => call<'scan_meeting'>('POST', '/api/v1/meetings/{code}', { code }),
  confirmMeeting: (meeting: string, number: number) => call<'confirm_meeting'>('POST', '/api/v1/pledges/meetings/{meeting}/confirm', { meeting }, { number }),

  // ── evidence and disputes ──
  evidence: (id: string) => call<'list_evidence'>('GET', '/api/v1/pledges/{id}/evidence', { id }),
  addEvidence: (id: string, of: number, words: string, media: string[]) => call<'add_evidence'>('POST', '/api/v1/pledges/{id}/evidence', { id }, { task: of, words, media }),
  dispute: (id: string, words: string) => whole(call<'dispute_pledge'>('POST', '/api/v1/pledges/{id}/disputes', { id }, { words })),
  appeal: (id: string, words: string) => whole(call<'appeal_pledge'>('POST', '/api/v1/pledges/{id}/appeals', { id }, { words })),

  // ── records ──
  record: (person: string) => call<'get_record'>('GET', '/api/v1/people/{person}/record', { person }),
  showRecord: (shown: boolean) => call<'show_record'>('PUT', '/api/v1/me/record', {}, { shown }),
}

/** The calls of those who decide and supervise as staff. */
export const pledgeDesk = {
  queue: () => call<'get_pledge_desk'>('GET', '/api/v1/staff/pledges', {}),
  duty: () => call<'get_duty'>('GET', '/api/v1/staff/duty', {}),
  putDuty: (templates: string[]) => call<'set_duty'>('PUT', '/api/v1/staff/duty', {}, { templates }),
  takeSeat: (id: string) => whole(call<'take_staff_seat'>('POST', '/api/v1/staff/pledges/{id}/seat', { id })),
  leaveSeat: (id: string) => call<'release_staff_seat'>('DELETE', '/api/v1/staff/pledges/{id}/seat', { id }),
  takeCase: (id: string, of: string) => whole(call<'take_case'>('POST', '/api/v1/staff/pledges/{id}/cases/{case}/take', { id, case: of })),
  rule: (id: string, of: string, ruling: Outcome, reasons: string) => whole(call<'rule_case'>('POST', '/api/v1/staff/pledges/{id}/cases/{case}/ruling', { id, case: of }, { ruling, reasons })),
}
