/**
 * The shell of the client on the device: its page, scripts and styles, so that it opens while the server is away. Nothing
 * that belongs to a person is ever kept here: what /api answers passes by.
 */

/** Written into the worker by the build. */
export interface Shell {
  /** Another one for every build that differs. */
  readonly version: string
  /** The script that the page of this build asks for: how it is told from the page of another build. */
  readonly entry: string
  /** What is fetched before it is asked for. */
  readonly files: readonly string[]
}

export interface Stores {
  open(name: string): Promise<Store>
  keys(): Promise<string[]>
  delete(name: string): Promise<boolean>
}

export interface Store {
  match(request: Request | string, options?: { ignoreVary?: boolean }): Promise<Response | undefined>
  put(request: Request | string, response: Response): Promise<void>
}

type Fetch = (request: Request | string, init?: RequestInit) => Promise<Response>

/** The names of what is kept begin so. */
export const PREFIX = 'vouch-shell-'
const PAGE = '/'
/** Milliseconds after which a server that says nothing is taken for one that is away. */
const PATIENCE = 6_000
/** What a proxy says of a server that is away. */
const AWAY: ReadonlySet<number> = new Set([502, 503, 504])

export type Way = 'page' | 'file' | 'past'

/** What the worker does with a request: answers with the page, with a file of the shell, or lets it pass. */
export function wayOf(request: Pick<Request, 'method' | 'mode' | 'url'>, origin: string): Way {
  const url = new URL(request.url)
  if (request.method !== 'GET' || url.origin !== origin) return 'past'
  if (url.pathname.startsWith('/api/') || url.pathname === '/docs' || url.pathname === '/worker.js') return 'past'
  if (url.pathname.startsWith('/assets/') || url.pathname.startsWith('/icons/')) return 'file'
  return request.mode === 'navigate' ? 'page' : 'past'
}

export class ShellKeeper {
  readonly #shell: Shell
  readonly #stores: Stores
  readonly #fetch: Fetch

  constructor(shell: Shell, stores: Stores, fetch: Fetch) {
    this.#shell = shell
    this.#stores = stores
    this.#fetch = fetch
  }

  get #name(): string {
    return PREFIX + this.#shell.version
  }

  /** Fetches all of it, or fails. */
  async install(): Promise<void> {
    const store = await this.#stores.open(this.#name)
    const page = await this.#fetch(PAGE, { cache: 'no-store' })
    // In the middle of an upgrade the page may be that of another build; the browser tries again later.
    if (!page.ok || !(await page.clone().text()).includes(this.#shell.entry)) throw new Error('this page is not of this build')
    await Promise.all(
      this.#shell.files.map(async (file) => {
        const response = await this.#fetch(file)
        if (!response.ok) throw new Error(`${file}: ${response.status}`)
        await store.put(file, response)
      }),
    )
    await store.put(PAGE, page)
  }

  /** Of what was kept before, the build before this one stays: pages that are open still ask for its files. */
  async tidy(): Promise<void> {
    const others = (await this.#stores.keys()).filter((name) => name.startsWith(PREFIX) && name !== this.#name)
    await Promise.all(others.slice(0, -1).map((name) => this.#stores.delete(name)))
  }

  /** The page as the server has it; while it is away, the one that is kept. */
  async page(request: Request): Promise<Response> {
    let answer: Response | null = null
    try {
      answer = await this.#soon(request)
      if (!AWAY.has(answer.status)) return answer
    } catch {
      // no network, or no server
    }
    const store = await this.#stores.open(this.#name)
    return (await store.match(PAGE)) ?? answer ?? Response.error()
  }

  /** A file whose name says what is in it: kept for good once it was fetched, by this build or the one before. */
  async file(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url)
    for (const name of [this.#name, ...(await this.#stores.keys())]) {
      if (!name.startsWith(PREFIX)) continue
      const kept = await (await this.#stores.open(name)).match(pathname, { ignoreVary: true })
      if (kept) return kept
    }
    const answer = await this.#fetch(request)
    if (answer.ok && answer.status === 200 && pathname.startsWith('/assets/')) {
      const store = await this.#stores.open(this.#name)
      await store.put(pathname, answer.clone())
    }
    return answer
  }

  async #soon(request: Request): Promise<Response> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('late')), PATIENCE)
    })
    try {
      return await Promise.race([this.#fetch(request), late])
    } finally {
      clearTimeout(timer)
    }
  }
}
