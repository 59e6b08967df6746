// Makes worker.js, one file without imports, that knows which files the build has made.
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { build, type Plugin } from 'vite'

import type { Shell } from '../src/worker/shell'

const SOURCE = fileURLToPath(new URL('../src/worker/worker.ts', import.meta.url))
const KEPT = /\.(js|css|svg|png|woff2)$/
/** Larger ones are kept when they were used once. */
const LARGEST = 200_000

async function shellOf(folder: string): Promise<Shell> {
  const files: string[] = []
  for (const part of ['assets', 'icons']) {
    for (const name of await readdir(join(folder, part))) {
      if (KEPT.test(name) && (await stat(join(folder, part, name))).size <= LARGEST) files.push(`/${part}/${name}`)
    }
  }
  files.sort()
  const page = await readFile(join(folder, 'index.html'), 'utf8')
  const entry = /src="(\/assets\/[^"]+\.js)"/.exec(page)?.[1]
  if (!entry) throw new Error('index.html names no script')
  // The first page needs all of its scripts, however large.
  for (const [, name] of page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)) if (name && !files.includes(name)) files.push(name)
  const version = createHash('sha256').update(page).update(files.join()).digest('hex').slice(0, 16)
  return { version, entry, files }
}

export function workerPlugin(): Plugin {
  let folder = ''
  return {
    name: 'vouch-worker',
    apply: 'build',
    configResolved(config) {
      folder = resolve(config.root, config.build.outDir)
    },
    async closeBundle() {
      const shell = await shellOf(folder)
      await build({
        configFile: false,
        publicDir: false,
        logLevel: 'warn',
        define: { __SHELL__: JSON.stringify(shell) },
        build: {
          outDir: folder,
          emptyOutDir: false,
          target: 'es2022',
          rollupOptions: { input: SOURCE, output: { format: 'iife', entryFileNames: 'worker.js' } },
        },
      })
    },
  }
}
