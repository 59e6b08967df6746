/** The operations on calls: apart from the others, for chats do without them. */

import type { Operations } from '@vouch/realtime/http'

import { call } from '../api'
import { farewell, request } from '../api/http'
import type { CallList, CallView, ChangeSeat, Slot } from './types'

export const api = {
  /** `before` is the last call of the page before. */
  mine: (before: string | null, limit = 30): Promise<CallList> => request('GET', `/api/v1/calls?${new URLSearchParams({ limit: String(limit), ...(before === null ? {} : { before }) })}`),
  get: (id: string): Promise<CallView> => call<'get_call'>('GET', '/api/v1/calls/{id}', { id }),
  start: (body: Operations['start_call']['request']): Promise<CallView> => call<'start_call'>('POST', '/api/v1/calls', {}, body),
  ice: () => call<'ice_servers'>('GET', '/api/v1/calls/ice', {}),
  accept: (id: string): Promise<CallView> => call<'accept_call'>('POST', '/api/v1/calls/{id}/accept', { id }),
  decline: (id: string): Promise<CallView> => call<'decline_call'>('POST', '/api/v1/calls/{id}/decline', { id }),
  cancel: (id: string): Promise<CallView> => call<'cancel_call'>('POST', '/api/v1/calls/{id}/cancel', { id }),
  leave: (id: string): Promise<CallView> => call<'leave_call'>('POST', '/api/v1/calls/{id}/leave', { id }),
  end: (id: string): Promise<CallView> => call<'end_call'>('POST', '/api/v1/calls/{id}/end', { id }),
  remove: (id: string, person: string): Promise<CallView> => call<'remove_from_call'>('POST', '/api/v1/calls/{id}/remove', { id }, { person }),
  seat: (id: string, change: ChangeSeat): Promise<CallView> => call<'change_seat'>('PATCH', '/api/v1/calls/{id}/seat', { id }, change),
  /** One's page is being closed. */
  closing: (id: string): void => farewell('PATCH', `/api/v1/calls/${id}/seat`, { closing: true } satisfies ChangeSeat),
  connect: (id: string, direction: 'publish' | 'watch', offer: string, epoch: number) => call<'connect_to_call'>('POST', '/api/v1/calls/{id}/connections', { id }, { direction, offer, epoch }),
  disconnect: (id: string, connection: string) => call<'disconnect_from_call'>('DELETE', '/api/v1/calls/{id}/connections/{connection}', { id, connection }),
  view: (id: string, connection: string, slots: Slot[]) => call<'set_call_view'>('PUT', '/api/v1/calls/{id}/connections/{connection}/view', { id, connection }, { slots }),
  snapshot: (id: string, person: string, key: string) => call<'take_snapshot'>('POST', '/api/v1/calls/{id}/snapshots', { id }, { person, key }),
  askSnapshot: (id: string, person: string, key: string): Promise<CallView> => call<'ask_for_snapshot'>('POST', '/api/v1/calls/{id}/snapshots/asks', { id }, { person, key }),
  answerSnapshot: (id: string, ask: string, yes: boolean): Promise<CallView> => call<'answer_snapshot'>('POST', '/api/v1/calls/{id}/snapshots/answers', { id }, { ask, yes }),
  record: (id: string, on: boolean): Promise<CallView> => call<'record_call'>('POST', '/api/v1/calls/{id}/recording', { id }, { on }),
  recordings: (id: string) => call<'list_recordings'>('GET', '/api/v1/calls/{id}/recordings', { id }),
  deleteRecording: (id: string) => call<'delete_recording'>('DELETE', '/api/v1/recordings/{id}', { id }),
  fileOf: (recording: string, n: number): string => `/api/v1/recordings/${recording}/files/${n}`,
}
