/** The calls of staff and admins: apart from the others, for few people load them. */

import type { Operations } from '@vouch/realtime/http'

import { call } from '.'
import { request } from './http'
import type { Decision, Reason, ReportState } from './types'

export type SystemRole = 'admin' | 'staff' | 'finance'

function query(values: Readonly<Record<string, string | number | null>>): string {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== '')
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()
}

export const desk = {
  reports: (state: ReportState, before: number | null, limit = 50) =>
    request<Operations['list_reports']['answer']>('GET', `/api/v1/staff/reports?${query({ state, before, limit })}`),
  report: (id: string) => call<'get_report'>('GET', '/api/v1/staff/reports/{id}', { id }),
  claim: (id: string, version: number) => call<'claim_report'>('PUT', '/api/v1/staff/reports/{id}/claim', { id }, { version }),
  release: (id: string, version: number) => call<'release_report'>('DELETE', '/api/v1/staff/reports/{id}/claim', { id }, { version }),
  decide: (id: string, decision: Decision) => call<'decide_report'>('POST', '/api/v1/staff/reports/{id}/decision', { id }, decision),
  lift: (person: string) => call<'lift_suspension'>('DELETE', '/api/v1/staff/suspensions/{person}', { person }),

  users: (words: string, before: number | null) => request<Operations['list_users']['answer']>('GET', `/api/v1/admin/users?${query({ query: words, before })}`),
  user: (person: string) => call<'get_user'>('GET', '/api/v1/admin/users/{person}', { person }),
  giveRole: (person: string, role: SystemRole) => call<'give_role'>('PUT', '/api/v1/admin/users/{person}/grants/{role}', { person, role }),
  takeRole: (person: string, role: SystemRole) => call<'take_role'>('DELETE', '/api/v1/admin/users/{person}/grants/{role}', { person, role }),
  endSignIns: (person: string) => call<'end_sign_ins'>('DELETE', '/api/v1/admin/users/{person}/sessions', { person }),
  endSignIn: (person: string, session: string) => call<'end_sign_in'>('DELETE', '/api/v1/admin/users/{person}/sessions/{session}', { person, session }),
  suspend: (person: string, hours: number, reason: Reason) => call<'suspend_user'>('PUT', '/api/v1/admin/users/{person}/suspension', { person }, { hours, reason }),

  storage: () => call<'get_storage'>('GET', '/api/v1/admin/storage', {}),
  queues: () => call<'get_queues'>('GET', '/api/v1/admin/queues', {}),
  versions: () => call<'get_versions'>('GET', '/api/v1/admin/versions', {}),
  configuration: () => call<'get_configuration'>('GET', '/api/v1/admin/configuration', {}),
  charts: (from: number, to: number) => request<Operations['get_charts']['answer']>('GET', `/api/v1/admin/charts?${query({ from, to })}`),
  audit: (match: { by: string; action: string; target: string }, before: number | null) =>
    request<Operations['list_audit']['answer']>('GET', `/api/v1/admin/audit?${query({ ...match, before })}`),
}
