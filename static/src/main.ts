import '@vouch/ui/styles.css'
import './app.css'

import { createPinia } from 'pinia'
import { createApp } from 'vue'

import { whenSignedOut } from './api/http'
import App from './App.vue'
import { i18n } from './i18n'
import { applyPreferences } from './preferences'
import { router } from './router'
import { useLifetime } from './stores/lifetime'
import { useSession } from './stores/session'
import { followWorker } from './worker'

const app = createApp(App).use(createPinia()).use(i18n)
applyPreferences()

const session = useSession()
const lifetime = useLifetime()
whenSignedOut(() => void lifetime.end('expired', false))
await session.restore()
if (session.status === 'in') lifetime.begin()

// The guard of the first address needs to know who is there.
app.use(router)
app.mount('#app')

// What it fetches shall not delay what the page itself needs.
if (document.readyState === 'complete') void followWorker()
else window.addEventListener('load', () => void followWorker(), { once: true })
