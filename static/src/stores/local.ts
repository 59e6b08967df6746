/** What is kept on this device for one person; all of it goes when they sign out. Unsent messages are kept elsewhere. */

const PREFIX = 'vouch.person.'

/** Storage may be full or forbidden: then this device forgets, and nothing else happens. */
function attempt<T>(action: () => T, otherwise: T): T {
  try {
    return action()
  } catch {
    return otherwise
  }
}

export class LocalShelf {
  readonly #prefix: string

  constructor(person: string) {
    this.#prefix = `${PREFIX}${person}.`
  }

  read<T>(name: string): T | null {
    return attempt(() => {
      const text = localStorage.getItem(this.#prefix + name)
      return text === null ? null : (JSON.parse(text) as T)
    }, null)
  }

  write(name: string, value: unknown): void {
    attempt(() => {
      localStorage.setItem(this.#prefix + name, JSON.stringify(value))
    }, undefined)
  }

  remove(name: string): void {
    attempt(() => {
      localStorage.removeItem(this.#prefix + name)
    }, undefined)
  }

  names(start: string): string[] {
    const whole = this.#prefix + start
    return attempt(
      () =>
        Object.keys(localStorage)
          .filter((key) => key.startsWith(whole))
          .map((key) => key.slice(this.#prefix.length)),
      [],
    )
  }

  erase(): void {
    for (const name of this.names('')) this.remove(name)
  }
}

/** Who was signed in on this device last, so that the page can open without a connection. */
const LAST = 'vouch.last'

export function lastPerson(): string | null {
  return attempt(() => localStorage.getItem(LAST), null)
}

export function rememberPerson(id: string | null): void {
  attempt(() => {
    if (id === null) localStorage.removeItem(LAST)
    else localStorage.setItem(LAST, id)
  }, undefined)
}
