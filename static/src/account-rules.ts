/** What a handle, a password, a name and a phone number must be, as far as the page can tell before it asks the server. */

export const HANDLE = /^[a-z][a-z0-9_.]{2,31}$/
export const PASSWORD_SHORTEST = 8
export const NAME_LONGEST = 60
export const INTRODUCTION_LONGEST = 500
export const TITLE_LONGEST = 80
export const NOTE_LONGEST = 200

/** A handle as the server keeps it. */
export function normalHandle(typed: string): string {
  return typed.normalize('NFKC').trim().replace(/^@/, '').toLowerCase()
}

export function handleRules(typed: string): { form: boolean; start: boolean } {
  const handle = normalHandle(typed)
  return { form: /^[a-z0-9_.]{3,32}$/.test(handle), start: /^[a-z]/.test(handle) }
}

export function passwordRules(password: string, handle: string): { length: boolean; handle: boolean } {
  return {
    length: [...password].length >= PASSWORD_SHORTEST,
    handle: password !== '' && password.toLowerCase() !== normalHandle(handle),
  }
}

export function graphemes(text: string): number {
  let count = 0
  for (const _ of new Intl.Segmenter().segment(text)) count += 1
  return count
}

export function isName(name: string): boolean {
  const length = graphemes(name.trim())
  return length >= 1 && length <= NAME_LONGEST
}

/** Digits of any width, with the signs that people put between them. Whether it is a real number the server decides. */
export function looksLikePhone(typed: string): boolean {
  const narrow = typed.normalize('NFKC').trim()
  return /^\+?[\d\s().-]{5,24}$/.test(narrow) && (narrow.match(/\d/g)?.length ?? 0) >= 5
}

/** What somebody looks for: a handle or a phone number; null: neither. */
export function personSought(typed: string): { handle: string } | { phone: string } | null {
  const handle = normalHandle(typed)
  if (HANDLE.test(handle)) return { handle }
  return looksLikePhone(typed) ? { phone: typed.trim() } : null
}
