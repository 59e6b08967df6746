import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

import { workerPlugin } from './build/worker'

/** Where `npm run dev` finds the server; `VOUCH_SERVER` names another one. */
const server = process.env['VOUCH_SERVER'] ?? 'http://127.0.0.1:8080'

/** Few files rather than many: what others wrote, what every page needs, and one file per page, thing that is rarely opened (`lazy/`) or part that few pages share (money, pledges, calls, proofs). */
function chunk(id: string): string | undefined {
  if (id.includes('/node_modules/')) return 'vendor'
  if (/\/static\/src\/(emoji\/|money\/|pledges\/|calls\/|proofs\/|components\/(money|pledges|calls|proofs)\/|locales\/[\w-]+\/calls\.ts|.*\/lazy\/)/.test(id)) return undefined
  return /\/static\/(packages|src\/(?!pages\/|main|App))/.test(id) ? 'core' : undefined
}

export default defineConfig({
  plugins: [vue(), workerPlugin()],
  define: {
    __VUE_I18N_FULL_INSTALL__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
  },
  build: {
    target: 'es2022',
    // No file becomes a data: address, so that the content policy can forbid them everywhere but in pictures.
    assetsInlineLimit: 0,
    // Preloading is done without inline script.
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    rollupOptions: {
      output: { manualChunks: chunk },
    },
  },
  server: {
    host: '127.0.0.1',
    proxy: { '/api': { target: server, ws: true } },
  },
  test: {
    environment: 'happy-dom',
    include: ['test/**/*.test.ts'],
  },
})
