/** One way to ask the server: JSON, the session cookie, the XSRF header, and faults with a code. */

import { Fault, faultFrom } from './fault'

/** Answers with the XSRF cookie, whoever asks. */
const GREETING = '/api/v1/me'
/** Milliseconds after which no answer counts as none; pictures may take longer. */
const PATIENCE = 20_000
const PATIENCE_UPLOAD = 90_000

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** Told about each answer that says the sign-in is over. */
let onSignedOut: (() => void) | null = null

export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener
}

export function xsrfToken(cookies: string): string | null {
  const found = /(?:^|;\s*)_xsrf=([^;]*)/.exec(cookies)
  return found?.[1] ? decodeURIComponent(found[1]) : null
}

async function answerOf(method: Method, path: string, body: BodyInit | null, type: string | null, patience: number): Promise<Response> {
  const headers = new Headers({ Accept: 'application/json' })
  if (type !== null) headers.set('Content-Type', type)
  if (method !== 'GET') headers.set('X-XSRFToken', xsrfToken(document.cookie) ?? '')
  try {
    return await fetch(path, {
      method,
      headers,
      body,
      credentials: 'same-origin',
      cache: 'no-store',
      signal: AbortSignal.timeout(patience),
    })
  } catch (error) {
    throw new Fault('offline', String(error))
  }
}

async function read(answer: Response): Promise<unknown> {
  if (answer.status === 204) return undefined
  const text = await answer.text()
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

async function ask(method: Method, path: string, body: BodyInit | null, type: string | null, patience: number): Promise<unknown> {
  if (method !== 'GET' && xsrfToken(document.cookie) === null) await answerOf('GET', GREETING, null, null, PATIENCE)
  let answer = await answerOf(method, path, body, type, patience)
  let content = await read(answer)
  if (answer.status === 403 && faultFrom(403, content, null).code === 'xsrf') {
    // The cookie was lost or is from another server: fetch a new one and try once more.
    await answerOf('GET', GREETING, null, null, PATIENCE)
    answer = await answerOf(method, path, body, type, patience)
    content = await read(answer)
  }
  if (answer.ok) return content
  const fault = faultFrom(answer.status, content, answer.headers.get('Retry-After'))
  if (fault.code === 'unauthenticated') onSignedOut?.()
  throw fault
}

/** `path` is whole, from /api on. */
export async function request<T>(method: Method, path: string, body?: object): Promise<T> {
  const json = body === undefined ? null : JSON.stringify(body)
  return (await ask(method, path, json, json === null ? null : 'application/json', PATIENCE)) as T
}

/** The last words of a page that is being closed: they go out after it, and nobody hears the answer. */
export function farewell(method: Method, path: string, body: object): void {
  const headers = { 'Content-Type': 'application/json', 'X-XSRFToken': xsrfToken(document.cookie) ?? '' }
  fetch(path, { method, headers, body: JSON.stringify(body), credentials: 'same-origin', keepalive: true }).catch(() => undefined)
}

/** A file to be kept. */
export async function file(path: string): Promise<Blob> {
  const answer = await answerOf('GET', path, null, null, PATIENCE)
  if (answer.ok) return answer.blob()
  const fault = faultFrom(answer.status, await read(answer), answer.headers.get('Retry-After'))
  if (fault.code === 'unauthenticated') onSignedOut?.()
  throw fault
}

/** A file to be looked at, as raw bytes of this type. */
export async function post<T>(path: string, file: Blob, type: string): Promise<T> {
  return (await ask('POST', path, file, type, PATIENCE_UPLOAD)) as T
}

/** Sends a piece of a file; `moved` hears how many bytes have left, which `fetch` cannot tell. */
export async function sendPiece<T>(path: string, piece: Blob, moved: (bytes: number) => void, signal: AbortSignal): Promise<T> {
  if (xsrfToken(document.cookie) === null) await answerOf('GET', GREETING, null, null, PATIENCE)
  const { status, text, retryAfter } = await transferred(path, piece, moved, signal)
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    content = undefined
  }
  if (status >= 200 && status < 300) return content as T
  const fault = faultFrom(status, content, retryAfter)
  if (fault.code === 'unauthenticated') onSignedOut?.()
  if (fault.code === 'xsrf') await answerOf('GET', GREETING, null, null, PATIENCE) // the next attempt has a new cookie
  throw fault
}

interface Transferred {
  readonly status: number
  readonly text: string
  readonly retryAfter: string | null
}

function transferred(path: string, piece: Blob, moved: (bytes: number) => void, signal: AbortSignal): Promise<Transferred> {
  return new Promise((resolve, reject) => {
    const asked = new XMLHttpRequest()
    const abort = (): void => asked.abort()
    const fail = (): void => reject(new Fault('offline', 'no answer'))
    asked.open('PATCH', path)
    asked.setRequestHeader('Accept', 'application/json')
    asked.setRequestHeader('Content-Type', 'application/octet-stream')
    asked.setRequestHeader('X-XSRFToken', xsrfToken(document.cookie) ?? '')
    asked.timeout = PATIENCE_UPLOAD
    asked.upload.onprogress = ({ loaded }) => moved(loaded)
    asked.onload = () => resolve({ status: asked.status, text: asked.responseText, retryAfter: asked.getResponseHeader('Retry-After') })
    asked.onerror = asked.ontimeout = asked.onabort = fail
    asked.onloadend = () => signal.removeEventListener('abort', abort)
    signal.addEventListener('abort', abort)
    if (signal.aborted) fail()
    else asked.send(piece)
  })
}

export async function upload<T>(path: string, file: Blob): Promise<T> {
  return (await ask('PUT', path, file, file.type, PATIENCE_UPLOAD)) as T
}
