/** What happened to a pledge, in words; and what the inbox and a push tell of it. */

import type { Entry } from '@vouch/realtime'
import { describe, expect, it } from 'vitest'

import { itemOf, type NoticeItem } from '../src/chat/timeline'
import { translate } from '../src/i18n'
import en from '../src/locales/en/pledge-news'
import zhCN from '../src/locales/zh-CN/pledge-news'
import { noticeOf, targetOf } from '../src/notifications/centre'
import { pledgeSentence } from '../src/notifications/pledges'
import { happeningOf, peopleOf, type Happening, type HappeningWords } from '../src/pledges/happenings'
import { contentOf, wordsOf } from '../src/worker/push'

const NAMES: Record<string, string> = { p_emma: 'Emma', p_tom: 'Tom', p_mum: 'Linda', system: 'Vouch' }
const WORDS: HappeningWords = { t: translate, name: (id) => NAMES[id] ?? id, money: (minor) => `¥${minor / 100}`, when: (at) => `at ${at}` }

function item(kind: string, body: Record<string, unknown>, by = 'system'): NoticeItem {
  const made = itemOf({ seq: 1, n: 1, at: 1, by, id: 'e', kind, body } as Entry)
  if (made.type !== 'notice') throw new Error('a message')
  return made
}

function told(kind: string, body: Record<string, unknown>, by = 'system'): Happening | null {
  return happeningOf(item(kind, body, by), WORDS)
}

describe('the timeline of a pledge', () => {
  it('shows a stamp with who, what, when and how', () => {
    expect(told('stamped', { task: 2, person: 'p_tom', verdict: 'done', at: 5, counts: false, done_at: 3, in_person: true, words: 'I saw it', evidence: ['e_1'] })).toMatchObject({
      sentence: 'Tom stamped it: done',
      tone: 'seal',
      details: ['done at 3', 'done too late', 'in person'],
      task: 2,
      person: 'p_tom',
      quote: 'I saw it',
      evidence: ['e_1'],
    })
    expect(told('stamped', { task: 1, person: 'p_tom', verdict: 'abstain', at: 5 })).toMatchObject({ sentence: 'Tom could not tell', tone: 'plain', details: [] })
  })

  it('says how a task was decided', () => {
    expect(told('judged', { task: 1, state: 'kept', by: 'vote', early: true, done: 2, not_done: 1, abstained: 1 })).toMatchObject({ sentence: 'Kept, ahead of time', details: ['2 for done, 1 against', '1 could not tell'] })
    expect(told('judged', { task: 1, state: 'missed', by: 'admitted' })?.details).toEqual(['as the one who promised says'])
  })

  it('says where the money is and where it went, to whom and for whom', () => {
    expect(told('money', { state: 'held', amount: 5000, currency: 'CNY' })?.sentence).toBe('¥50 is paid and set aside.')
    const parts = [
      { account: 'a', person: 'p_tom', payee: 'p_tom', amount: 4000 },
      { account: 'b', person: 'p_emma', payee: 'p_mum', amount: 1000 },
      { account: 'c', person: '', payee: '', amount: 0 },
    ]
    const split = item('money', { state: 'split', amount: 5000, currency: 'CNY', parts })
    expect(happeningOf(split, WORDS)).toMatchObject({ sentence: 'Tom: ¥40', details: ['Linda for Emma: ¥10'] })
    expect(peopleOf(split)).toEqual(['p_tom', 'p_tom', 'p_emma', 'p_mum'])
    expect(told('money', { state: 'released', amount: 100, currency: 'CNY', parts: [{ account: 'c', person: '', payee: '', amount: 100 }] })?.sentence).toBe('The staff department: ¥1')
    expect(told('money', { state: 'released' })?.sentence).toBe('What was agreed for this outcome is due.')
    expect(told('money', { state: 'authorised', amount: 1, currency: 'CNY' })).toBeNull()
  })

  it('tells of cases: who objects and why, and what was decided with which reasons', () => {
    expect(told('case', { case: 'x', kind: 'dispute', done: 'opened', words: 'It was done' }, 'p_emma')).toMatchObject({ sentence: 'Emma objected to the outcome.', quote: 'It was done', person: 'p_emma' })
    expect(told('case', { case: 'x', kind: 'review', done: 'opened', cause: 'tie' })?.details).toEqual(['Those who watch do not agree.'])
    expect(told('case', { case: 'x', kind: 'review', done: 'opened', cause: 'of tomorrow' })?.details).toEqual([])
    expect(told('case', { case: 'x', kind: 'dispute', done: 'ruled', ruling: 'kept', reasons: 'The picture shows it.' })).toMatchObject({ tone: 'jade', quote: 'The picture shows it.' })
  })

  it('says until when one can object', () => {
    expect(told('state', { state: 'challenge_window', outcome: 'failed', until: 9 })).toMatchObject({ sentence: 'Outcome: not kept.', details: ['Until at 9 everybody concerned can object.'] })
    expect(told('state', { state: 'cancelled' }, 'p_emma')?.sentence).toBe('Emma called it off.')
    expect(told('state', { state: 'draft' })).toBeNull()
  })

  it('leaves out what only a newer client knows', () => {
    expect(told('of tomorrow', { task: 1 })).toBeNull()
    expect(told('erased', { person: 'p_tom' })).toBeNull()
  })
})

describe('news of a pledge', () => {
  it('has the same words in both languages, and some for what is not known yet', () => {
    expect(Object.keys(zhCN.what)).toEqual(Object.keys(en.what))
    expect(pledgeSentence(en, 'reported', 'Emma')).toBe('Emma says that it is done.')
    expect(pledgeSentence(en, 'check_asked', '')).toBe('Vouch asks: is it done yet?')
    expect(pledgeSentence(zhCN, 'of tomorrow', '')).toBe(zhCN.other)
    expect(pledgeSentence(en, 'toString', '')).toBe(en.other)
  })

  it('stands in the inbox and leads to the pledge', () => {
    const notice = noticeOf({ seq: 1, n: 1, at: 1, by: 'system', id: 'e', kind: 'pledge_news', body: { pledge: 'g_1', what: 'begun', by: 'system' } }, 'p_me')
    expect(notice).toMatchObject({ kind: 'pledge_news', pledge: 'g_1', done: 'begun', by: '' })
    expect(notice && targetOf(notice)).toBe('/pledges/g_1')
  })

  it('is shown by the service worker with the title of the pledge, and without it where previews are off', () => {
    const push = { url: '/pledges/g_1', tag: 'pledge:g_1', badge: 0, language: 'en' }
    expect(contentOf(push)).toBe(push)
    expect(contentOf({ ...push, url: '/pledges/../admin' })).toBeNull()
    expect(wordsOf({ ...push, title: 'Read', pledge: 'invited', from: 'Emma' })).toEqual({ title: 'Read', body: 'Emma asks you to supervise.' })
    expect(wordsOf(push)).toEqual({ title: 'Vouch', body: en.other })
    expect(wordsOf({ ...push, language: 'zh-CN', title: '读书', pledge: 'settled' })).toEqual({ title: '读书', body: zhCN.what.settled })
  })
})
