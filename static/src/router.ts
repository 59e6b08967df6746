/** Every page has an address that can be shared and reloaded. On phones one pane is seen at a time: `meta.pane` says which. */

import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'

import { useSession } from './stores/session'

declare module 'vue-router' {
  interface RouteMeta {
    /** Which of the panes a phone shows. */
    pane?: 'list' | 'content' | 'detail'
    /** Which area is marked in the navigation. */
    area?: 'chats' | 'pledges' | 'calls' | 'people' | 'inbox' | 'wallet' | 'desk' | 'me'
    /** The content needs the whole width: no list stands beside it. */
    wide?: boolean
    /** `out`: only for those who are not signed in; `any`: for everybody. */
    who?: 'out' | 'any'
  }
}

const ChatList = (): Promise<unknown> => import('./pages/ChatList.vue')
const ConversationPage = (): Promise<unknown> => import('./pages/ConversationPage.vue')
const PeopleList = (): Promise<unknown> => import('./pages/PeopleList.vue')
const MeMenu = (): Promise<unknown> => import('./pages/MeMenu.vue')

const WalletMenu = (): Promise<unknown> => import('./pages/wallet/WalletMenu.vue')
const StatementPage = (): Promise<unknown> => import('./pages/wallet/StatementPage.vue')

const PledgeMenu = (): Promise<unknown> => import('./pages/pledges/PledgeMenu.vue')
const PledgePage = (): Promise<unknown> => import('./pages/pledges/PledgePage.vue')
const PledgeWizard = (): Promise<unknown> => import('./pages/pledges/PledgeWizard.vue')

const CallMenu = (): Promise<unknown> => import('./pages/calls/CallMenu.vue')
const CallPage = (): Promise<unknown> => import('./pages/calls/CallPage.vue')

const DeskMenu = (): Promise<unknown> => import('./pages/staff/DeskMenu.vue')
const ReportQueue = (): Promise<unknown> => import('./pages/staff/ReportQueue.vue')
const PledgeQueue = (): Promise<unknown> => import('./pages/staff/pledges/PledgeQueue.vue')
const DeskWelcome = (): Promise<unknown> => import('./pages/staff/DeskWelcome.vue')

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
    path: 'search',
    components: { list: () => import('./pages/SearchPage.vue'), default: () => import('./pages/ChatWelcome.vue') },
    meta: { pane: 'list', area: 'chats' },
  },
  {
    path: 'chats/:id/threads/:seq(\\d+)',
    components: { list: ChatList, default: ConversationPage, detail: () => import('./pages/ThreadPane.vue') },
    props: { default: true, detail: true },
    meta: { pane: 'detail', area: 'chats' },
  },
  { path: 'pledges', components: { list: PledgeMenu, default: () => import('./pages/pledges/PledgesWelcome.vue') }, meta: { pane: 'list', area: 'pledges' } },
  ...(
    [
      ['new', PledgeWizard],
      ['open', () => import('./pages/pledges/OpenPledges.vue')],
      ['check-in', () => import('./pages/pledges/CheckInPage.vue')],
      ['cohorts/:id', () => import('./pages/pledges/CohortPage.vue')],
      [':id(g_\\w+)/edit', PledgeWizard],
      [':id(g_\\w+)/:view(thread)?', PledgePage],
    ] as const
  ).map(([path, page]) => ({
    path: `pledges/${path}`,
    components: { list: PledgeMenu, default: page },
    props: { default: true },
    meta: { pane: 'content' as const, area: 'pledges' as const },
  })),
  {
    path: 'm/:code',
    components: { list: PledgeMenu, default: () => import('./pages/pledges/ScanPage.vue') },
    props: { default: true },
    meta: { pane: 'content', area: 'pledges' },
  },
  { path: 'calls', components: { list: CallMenu, default: () => import('./pages/calls/CallsWelcome.vue') }, meta: { pane: 'list', area: 'calls' } },
  ...['calls/new', 'calls/:id(cl_\\w+)'].map((path) => ({ path, components: { list: CallMenu, default: CallPage }, props: { default: true }, meta: { pane: 'content' as const, area: 'calls' as const, wide: true } })),
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
    path: 'inbox',
    components: { list: () => import('./pages/InboxPage.vue'), default: () => import('./pages/ChatWelcome.vue') },
    meta: { pane: 'list', area: 'inbox' },
  },
  {
    path: 'me/notifications',
    components: { list: MeMenu, default: () => import('./pages/NotificationSettings.vue') },
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
    path: 'me/safety',
    components: { list: MeMenu, default: () => import('./pages/safety/SafetyPage.vue') },
    meta: { pane: 'content', area: 'me' },
  },
  {
    path: 'me/family',
    components: { list: MeMenu, default: () => import('./pages/safety/FamilyPage.vue') },
    meta: { pane: 'content', area: 'me' },
  },
  {
    path: 'me/delete',
    components: { list: MeMenu, default: () => import('./pages/DeletionPage.vue') },
    meta: { pane: 'content', area: 'me' },
  },
  { path: 'wallet', components: { list: WalletMenu, default: StatementPage }, meta: { pane: 'list', area: 'wallet' } },
  { path: 'wallet/statement', components: { list: WalletMenu, default: StatementPage }, meta: { pane: 'content', area: 'wallet' } },
  {
    path: 'wallet/top-up',
    components: { list: WalletMenu, default: () => import('./pages/wallet/TopUpPage.vue') },
    meta: { pane: 'content', area: 'wallet' },
  },
  {
    path: 'wallet/pay',
    components: { list: WalletMenu, default: () => import('./pages/wallet/PayPage.vue') },
    meta: { pane: 'content', area: 'wallet' },
  },
  {
    path: 'wallet/pay-out',
    components: { list: WalletMenu, default: () => import('./pages/wallet/PayOutPage.vue') },
    meta: { pane: 'content', area: 'wallet' },
  },
  {
    path: 'wallet/accounts',
    components: { list: WalletMenu, default: () => import('./pages/wallet/AccountsPage.vue') },
    meta: { pane: 'content', area: 'wallet' },
  },
  {
    path: 'wallet/payments',
    components: { list: WalletMenu, default: () => import('./pages/wallet/PaymentsPage.vue') },
    meta: { pane: 'content', area: 'wallet' },
  },
  {
    path: 'wallet/payments/:id',
    components: { list: WalletMenu, default: () => import('./pages/wallet/PaymentPage.vue') },
    props: { default: true },
    meta: { pane: 'content', area: 'wallet' },
  },
  { path: 'desk', components: { list: DeskMenu, default: DeskWelcome }, meta: { pane: 'list', area: 'desk' } },
  { path: 'desk/reports', components: { list: ReportQueue, default: DeskWelcome }, meta: { pane: 'list', area: 'desk' } },
  {
    path: 'desk/reports/:id',
    components: { list: ReportQueue, default: () => import('./pages/staff/ReportPage.vue') },
    props: { default: true },
    meta: { pane: 'content', area: 'desk' },
  },
  { path: 'desk/pledges', components: { list: PledgeQueue, default: DeskWelcome }, meta: { pane: 'list', area: 'desk' } },
  ...(
    [
      ['duty', () => import('./pages/staff/pledges/DutyPage.vue')],
      [':id(g_\\w+)', () => import('./pages/staff/pledges/DeskPledgePage.vue')],
    ] as const
  ).map(([path, page]) => ({
    path: `desk/pledges/${path}`,
    components: { list: PledgeQueue, default: page },
    props: { default: true },
    meta: { pane: 'content' as const, area: 'desk' as const },
  })),
  {
    path: 'desk/custody',
    components: { list: DeskMenu, default: () => import('./pages/staff/CustodyPage.vue') },
    meta: { pane: 'content', area: 'desk' },
  },
  {
    path: 'desk/overview',
    components: { list: DeskMenu, default: () => import('./pages/admin/OverviewPage.vue') },
    meta: { pane: 'content', area: 'desk' },
  },
  {
    path: 'desk/people',
    components: { list: DeskMenu, default: () => import('./pages/admin/UsersPage.vue') },
    meta: { pane: 'content', area: 'desk' },
  },
  {
    path: 'desk/people/:id',
    components: { list: DeskMenu, default: () => import('./pages/admin/UserPage.vue') },
    props: { default: true },
    meta: { pane: 'content', area: 'desk' },
  },
  {
    path: 'desk/server',
    components: { list: DeskMenu, default: () => import('./pages/admin/ServerPage.vue') },
    meta: { pane: 'content', area: 'desk' },
  },
  {
    path: 'desk/configuration',
    components: { list: DeskMenu, default: () => import('./pages/admin/ConfigurationPage.vue') },
    meta: { pane: 'content', area: 'desk' },
  },
  {
    path: 'desk/audit',
    components: { list: DeskMenu, default: () => import('./pages/admin/AuditPage.vue') },
    meta: { pane: 'content', area: 'desk' },
  },
  ...(
    [
      ['approvals', () => import('./pages/finance/ApprovalsPage.vue')],
      ['payments', () => import('./pages/finance/PaymentsPage.vue')],
      ['payments/:id', () => import('./pages/finance/OrderPage.vue')],
      ['money/:id', () => import('./pages/finance/HoldingsPage.vue')],
      ['disputes', () => import('./pages/finance/DisputesPage.vue')],
      ['disputes/:id', () => import('./pages/finance/DisputePage.vue')],
      ['adjustments', () => import('./pages/finance/AdjustmentsPage.vue')],
      ['reconciliation', () => import('./pages/finance/ReconciliationsPage.vue')],
      ['reconciliation/:id', () => import('./pages/finance/ReconciliationPage.vue')],
      ['books', () => import('./pages/finance/BooksPage.vue')],
      ['export', () => import('./pages/finance/ExportPage.vue')],
    ] as const
  ).map(([path, page]) => ({
    path: `desk/${path}`,
    components: { list: DeskMenu, default: page },
    props: { default: true },
    meta: { pane: 'content' as const, area: 'desk' as const },
  })),
] satisfies RouteRecordRaw[]

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/sign-in', component: () => import('./pages/SignInPage.vue'), meta: { who: 'out' } },
    { path: '/register', component: () => import('./pages/RegisterPage.vue'), meta: { who: 'out' } },
    { path: '/look', component: () => import('./pages/LookPage.vue'), meta: { who: 'any' } },
    { path: '/verify', component: () => import('./pages/VerifyPage.vue'), meta: { who: 'any' } },
    { path: '/receipts/:code', component: () => import('./pages/wallet/ReceiptPage.vue'), props: true, meta: { who: 'any' } },
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
