// Lays .br and .gz beside every text file of the build, so that the server only has to choose.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

const DIST = fileURLToPath(new URL('../dist/', import.meta.url))
const TEXT = new Set(['.css', '.html', '.js', '.json', '.svg', '.webmanifest'])
/** Below this, the header costs more than the compression saves. */
const WORTH_IT = 1024

const brotli = promisify(brotliCompress)
const zip = promisify(gzip)

for (const entry of await readdir(DIST, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name)
  if (!entry.isFile() || !TEXT.has(extname(path))) continue
  const bytes = await readFile(path)
  if (bytes.length < WORTH_IT) continue
  await writeFile(`${path}.gz`, await zip(bytes, { level: 9 }))
  await writeFile(`${path}.br`, await brotli(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }))
}
