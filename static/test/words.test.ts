import { afterEach, describe, expect, it } from 'vitest'

import { Fault, faultCode, faultFrom } from '../src/api/fault'
import { xsrfToken } from '../src/api/http'
import { listed, noticeSentence, peopleIn } from '../src/chat/notices'
import { i18n, preferredLanguage, translate } from '../src/i18n'
import en from '../src/locales/en'
import zhCN from '../src/locales/zh-CN'
import { safeTarget } from '../src/router'
import { matches } from '../src/search'
import { sentence, sentenceOf } from '../src/sentences'

afterEach(() => (i18n.global.locale.value = 'en'))

function leaves(tree: object, path = ''): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]: [string, unknown]) =>
    typeof value === 'string' ? [[`${path}${key}`, value] as [string, string]] : leaves(value as object, `${path}${key}.`),
  )
}

describe('the two languages', () => {
  const english = new Map(leaves(en))
  const chinese = new Map(leaves(zhCN))

  it('have the same keys', () => {
    expect([...chinese.keys()].sort()).toEqual([...english.keys()].sort())
  })

  it('fill in the same values', () => {
    const names = (text: string): string[] => [...new Set(Array.from(text.matchAll(/\{(\w+)\}/g), (found) => found[1] ?? ''))].sort()
    for (const [key, text] of english) {
      // A count may be said without its number in one of them.
      const without = (all: string[]): string[] => all.filter((name) => name !== 'n')
      expect([key, without(names(chinese.get(key) ?? ''))]).toEqual([key, without(names(text))])
    }
  })

  it('blame nobody and shout at nobody', () => {
    for (const text of [...english.values(), ...chinese.values()]) {
      expect(text).not.toMatch(/[!！]|您|you failed/i)
      expect(text.trim()).not.toBe('')
    }
  })

  it('count', () => {
    expect(translate('connection.offlineWaiting', {}, 1)).toBe('Not connected. 1 message waits.')
    expect(translate('connection.offlineWaiting', {}, 2)).toBe('Not connected. 2 messages wait.')
    i18n.global.locale.value = 'zh-CN'
    expect(translate('connection.offlineWaiting', {}, 2)).toBe('没有连上，2 条消息等着发出。')
  })

  it('are chosen by what the browser prefers', () => {
    expect(preferredLanguage(['fr-FR', 'zh-TW', 'en'])).toBe('zh-CN')
    expect(preferredLanguage(['en-GB', 'zh'])).toBe('en')
    expect(preferredLanguage(['fr'])).toBe('en')
  })
})

describe('faults', () => {
  it('keep code, field and waiting time of the answer', () => {
    const fault = faultFrom(429, { error: { code: 'too_often', message: 'm', field: 'login', retry_after: 95, request_id: 'r' } }, null)
    expect(fault).toMatchObject({ code: 'too_often', field: 'login', retryAfter: 95, requestId: 'r' })
    expect(sentence(fault)).toContain('try again in 2 minutes')
  })

  it('have a sentence whatever came back', () => {
    expect(faultFrom(502, '<html>', null).code).toBe('unavailable')
    expect(faultFrom(500, undefined, null).code).toBe('internal')
    expect(faultFrom(400, { error: { code: 'from_the_future' } }, '3')).toMatchObject({ code: 'internal', retryAfter: 3 })
    expect(sentenceOf('from_the_future')).toBe(sentenceOf('internal'))
    expect(faultCode(new TypeError('x'))).toBe('internal')
    expect(faultCode({ code: 'timeout' })).toBe('offline')
    expect(faultCode(new Fault('blocked', ''))).toBe('blocked')
  })

  it('the cookie that goes back as a header', () => {
    expect(xsrfToken('a=1; _xsrf=2%7Cab; b=3')).toBe('2|ab')
    expect(xsrfToken('not_xsrf=1')).toBeNull()
  })
})

describe('notices', () => {
  const words = { t: translate, me: 'me', nameOf: (id: string) => id.toUpperCase(), when: (at: number) => `day ${at}` }

  it.each([
    [{ kind: 'created', by: 'system', body: { title: 'Club' } }, 'The group “Club” was created'],
    [{ kind: 'joined', by: 'system', body: { persons: ['a', 'b', 'me'], by: 'c' } }, 'C added A, B and you'],
    [{ kind: 'joined', by: 'system', body: { persons: ['a'], by: 'me' } }, 'You added A'],
    [{ kind: 'left', by: 'system', body: { person: 'a' } }, 'A left'],
    [{ kind: 'removed', by: 'system', body: { person: 'me', by: 'a' } }, 'A removed you'],
    [{ kind: 'renamed', by: 'system', body: { title: 'X {n} | y', by: 'a' } }, 'A renamed the group “X {n} | y”'],
    [{ kind: 'handed_over', by: 'system', body: { person: 'b', by: 'me' } }, 'You made B the owner'],
    [{ kind: 'role_changed', by: 'system', body: { person: 'b', role: 'admin', by: 'a' } }, 'A made B an admin'],
    [{ kind: 'role_changed', by: 'system', body: { person: 'b', role: 'member', by: 'a' } }, 'B is no longer an admin'],
    [{ kind: 'silenced', by: 'system', body: { person: 'me', until: 7, by: 'a' } }, 'A muted you until day 7'],
    [{ kind: 'silenced', by: 'system', body: { person: 'b', until: null, by: 'a' } }, 'B can write again'],
    [{ kind: 'pinned', by: 'system', body: { seq: 3, on: true, by: 'me' } }, 'You pinned a message'],
    [{ kind: 'pinned', by: 'system', body: { seq: 3, on: false, by: 'a' } }, 'A took a message off the top'],
    [{ kind: 'rules_changed', by: 'system', body: { everybody_by: 'admins', by: 'a' } }, 'Only admins can mention everybody now'],
    [{ kind: 'from_the_future', by: 'system', body: {} }, 'Something changed that this page cannot show yet. Reload it.'],
  ])('%o', (notice, sentenceInWords) => {
    expect(noticeSentence(notice, words)).toBe(sentenceInWords)
  })

  it('name whom they need', () => {
    expect(peopleIn({ kind: 'joined', by: 'system', body: { persons: ['a', 3, 'b'], by: 'c' } })).toEqual(['c', 'a', 'b'])
  })

  it('list in Chinese', () => {
    i18n.global.locale.value = 'zh-CN'
    expect(listed(['甲', '乙', '丙'], translate)).toBe('甲、乙和丙')
  })
})

describe('small things', () => {
  it('only addresses of this site are followed', () => {
    expect(safeTarget('/people?x=1')).toBe('/people?x=1')
    for (const bad of ['//evil.example', '/\\evil.example', 'https://evil.example', undefined, ['/a']]) expect(safeTarget(bad)).toBe('/chats')
  })

  it('names are found in any case and width', () => {
    expect(matches('Ada Lovelace', 'love ADA')).toBe(true)
    expect(matches('ＡＤＡ', 'ada')).toBe(true)
    expect(matches('陈小美', '小美')).toBe(true)
    expect(matches('Ada', 'ben')).toBe(false)
  })
})
