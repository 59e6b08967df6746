/** Every page has an address that can be shared and reloaded. On phones one pane is seen at a time: `meta.pane` says which. */

import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'

import { useSession } from './stores/session'

declare module 'vue-router' {
  interface RouteMeta {
    /** Which of the panes a phone shows. */
    pane?: 'list' | 'content' | 'detail'
    /** Which area is marked in the navigation. */
    area?: 'chats' | 'people' | 'me'
    /** `out`: only for those who are not signed in; `any`: for everybody. */
    who?: 'out' | 'any'
  }
}

const ChatList = (): Promise<unknown> => import('./pages/ChatList.vue')
const ConversationPage = (): Promise<unknown> => import('./pages/ConversationPage.vue')
const PeopleList = (): Promise<unknown> => import('./pages/PeopleList.vue')
const MeMenu = (): Promise<unknown> => import('./pages/MeMenu.vue')

const inside = [
  { path: '', redirect: '/chats' },
  {
    path: 'chats',
    components: { list: ChatList, default: () => import('./pages/ChatWelcome.vue') },
    meta: { pane: 'list', area: 'chats' },
  },
  {
    path: 'chats/:id',
    components: { list: ChatList, default: ConversationPage },
    props: { default: true },
    meta: { pane: 'content', area: 'chats' },
  },
  {
    path: 'chats/:id/details',
    components: { list: ChatList, default: ConversationPage, detail: () => import('./pages/GroupDetails.vue') },
    props: { default: true, detail: true },
    meta: { pane: 'detail', area: 'chats' },
  },
  {
    path: 'people',
    components: { list: PeopleList, default: () => import('./pages/PeopleWelcome.vue') },
    meta: { pane: 'list', area: 'people' },
  },
  {
    path: 'people/:id',
    components: { list: PeopleList, default: () => import('./pages/PersonPage.vue') },
    props: { default: true },
    meta: { pane: 'content', area: 'people' },
  },
  {
    path: 'me',
    components: { list: MeMenu, default: () => import('./pages/ProfilePage.vue') },
    meta: { pane: 'content', area: 'me' },
  },
  {
    path: 'me/sessions',
    components: { list: MeMenu, default: () => import('./pages/SessionsPage.vue') },
    meta: { pane: 'content', area: 'me' },
  },
  {
    path: 'me/password',
    components: { list: MeMenu, default: () => import('./pages/PasswordPage.vue') },
    meta: { pane: 'content', area: 'me' },
  },
  {
    path: 'me/delete',
    components: { list: MeMenu, default: () => import('./pages/DeletionPage.vue') },
    meta: { pane: 'content', area: 'me' },
  },
] satisfies RouteRecordRaw[]

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/sign-in', component: () => import('./pages/SignInPage.vue'), meta: { who: 'out' } },
    { path: '/register', component: () => import('./pages/RegisterPage.vue'), meta: { who: 'out' } },
    { path: '/look', component: () => import('./pages/LookPage.vue'), meta: { who: 'any' } },
    { path: '/', component: () => import('./components/AppShell.vue'), children: inside },
    { path: '/:rest(.*)*', component: () => import('./pages/NotFoundPage.vue'), meta: { who: 'any' } },
  ],
})

/** Only addresses of this site are followed after a sign-in. */
export function safeTarget(next: unknown): string {
  return typeof next === 'string' && /^\/(?![/\\])/.test(next) ? next : '/chats'
}

router.beforeEach((to) => {
  const session = useSession()
  if (to.meta.who === 'any') return true
  const outside = to.meta.who === 'out'
  if (session.status === 'in') return outside ? safeTarget(to.query['next']) : true
  if (outside || session.status === 'unreachable') return true
  return { path: '/sign-in', query: to.fullPath === '/' || to.path === '/chats' ? {} : { next: to.fullPath } }
})

// A page of an older build may ask for files that are gone: load the new build.
router.onError((error: unknown, to) => {
  if (error instanceof TypeError && /dynamically imported|Importing a module/i.test(error.message)) window.location.assign(to.fullPath)
})
