import { beforeEach, describe, expect, it } from 'vitest'

import { ShellKeeper, wayOf, type Store, type Stores } from '../src/worker/shell'

const ORIGIN = 'https://hub.example'

class MemoryStore implements Store {
  readonly kept = new Map<string, Response>()

  async match(request: Request | string): Promise<Response | undefined> {
    return this.kept.get(typeof request === 'string' ? request : new URL(request.url).pathname)?.clone()
  }

  async put(request: Request | string, response: Response): Promise<void> {
    this.kept.set(typeof request === 'string' ? request : new URL(request.url).pathname, response)
  }
}

class MemoryStores implements Stores {
  readonly all = new Map<string, MemoryStore>()

  async open(name: string): Promise<MemoryStore> {
    const known = this.all.get(name) ?? new MemoryStore()
    this.all.set(name, known)
    return known
  }

  async keys(): Promise<string[]> {
    return [...this.all.keys()]
  }

  async delete(name: string): Promise<boolean> {
    return this.all.delete(name)
  }
}

/** The hub: what it answers, and whether it is there. */
class Hub {
  readonly asked: string[] = []
  files = new Map<string, string>()
  status = 200
  away = false

  readonly fetch = async (request: Request | string): Promise<Response> => {
    const path = typeof request === 'string' ? request : new URL(request.url).pathname
    this.asked.push(path)
    if (this.away) throw new TypeError('Failed to fetch')
    if (this.status !== 200) return new Response('away', { status: this.status })
    const text = this.files.get(path) ?? (path.startsWith('/assets/') ? null : this.files.get('/'))
    return text == null ? new Response('', { status: 404 }) : new Response(text)
  }

  /** The files of a build. */
  build(version: string): ShellKeeper {
    this.files = new Map([
      ['/', `<script src="/assets/index-${version}.js">`],
      [`/assets/index-${version}.js`, `index ${version}`],
      [`/assets/rare-${version}.js`, `rare ${version}`],
    ])
    return new ShellKeeper({ version, entry: `/assets/index-${version}.js`, files: [`/assets/index-${version}.js`] }, stores, this.fetch)
  }
}

let stores = new MemoryStores()
let hub = new Hub()
beforeEach(() => {
  stores = new MemoryStores()
  hub = new Hub()
})

const request = (path: string): Request => new Request(ORIGIN + path)

describe('the way of a request', () => {
  it.each([
    ['GET', 'navigate', `${ORIGIN}/chats/c_1?at=7`, 'page'],
    ['GET', 'navigate', `${ORIGIN}/`, 'page'],
    ['GET', 'cors', `${ORIGIN}/assets/core-1.js`, 'file'],
    ['GET', 'no-cors', `${ORIGIN}/icons/icon-192.png`, 'file'],
    ['GET', 'cors', `${ORIGIN}/api/v1/me`, 'past'],
    ['GET', 'navigate', `${ORIGIN}/api/v1/media/m_1/main`, 'past'],
    ['GET', 'no-cors', `${ORIGIN}/api/v1/media/m_1/thumb`, 'past'],
    ['POST', 'cors', `${ORIGIN}/api/v1/uploads`, 'past'],
    ['GET', 'navigate', `${ORIGIN}/docs`, 'past'],
    ['GET', 'same-origin', `${ORIGIN}/worker.js`, 'past'],
    ['GET', 'no-cors', 'https://elsewhere.example/assets/x.js', 'past'],
  ] as const)('%s %s %s: %s', (method, mode, url, way) => {
    expect(wayOf({ method, mode, url }, ORIGIN)).toBe(way)
  })
})

describe('the shell', () => {
  it('opens while the hub is away', async () => {
    const keeper = hub.build('a')
    await keeper.install()
    hub.away = true
    expect(await (await keeper.page(request('/chats/c_1'))).text()).toContain('index-a.js')
    expect(await (await keeper.file(request('/assets/index-a.js'))).text()).toBe('index a')
  })

  it('is the one of the hub while it is there', async () => {
    const keeper = hub.build('a')
    await keeper.install()
    hub.files.set('/', 'a newer page')
    expect(await (await keeper.page(request('/chats'))).text()).toBe('a newer page')
  })

  it.each([502, 503, 504])('opens when a proxy says %i', async (status) => {
    const keeper = hub.build('a')
    await keeper.install()
    hub.status = status
    expect((await keeper.page(request('/chats'))).status).toBe(200)
  })

  it('tells what the hub says of its own faults', async () => {
    const keeper = hub.build('a')
    await keeper.install()
    hub.status = 500
    expect((await keeper.page(request('/chats'))).status).toBe(500)
  })

  it('keeps files that were asked for once', async () => {
    const keeper = hub.build('a')
    await keeper.install()
    await keeper.file(request('/assets/rare-a.js'))
    hub.away = true
    expect(await (await keeper.file(request('/assets/rare-a.js'))).text()).toBe('rare a')
  })

  it('keeps no file that is missing', async () => {
    const keeper = hub.build('a')
    expect((await keeper.file(request('/assets/none.js'))).status).toBe(404)
    expect((await stores.open('vouch-shell-a')).kept.size).toBe(0)
  })

  it('is not installed from the page of another build, nor with a file missing', async () => {
    const keeper = hub.build('a')
    hub.build('b')
    await expect(keeper.install()).rejects.toThrow('not of this build')
    const other = hub.build('c')
    hub.files.delete('/assets/index-c.js')
    await expect(other.install()).rejects.toThrow('404')
  })

  it('of the build before stays for the pages that are open, and no older one', async () => {
    for (const version of ['a', 'b', 'c']) {
      const keeper = hub.build(version)
      await keeper.install()
      await keeper.tidy()
    }
    expect(await stores.keys()).toEqual(['vouch-shell-b', 'vouch-shell-c'])
    const keeper = new ShellKeeper({ version: 'c', entry: '', files: [] }, stores, hub.fetch)
    expect(await (await keeper.file(request('/assets/index-b.js'))).text()).toBe('index b')
  })
})
