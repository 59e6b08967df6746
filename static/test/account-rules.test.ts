import { describe, expect, it } from 'vitest'

import { handleRules, isName, looksLikePhone, normalHandle, passwordRules, personSought } from '../src/account-rules'

describe('account rules', () => {
  it('handles are folded', () => {
    expect(normalHandle(' @Ｌin_01 ')).toBe('lin_01')
    expect(handleRules('lin')).toEqual({ form: true, start: true })
    expect(handleRules('1l')).toEqual({ form: false, start: false })
    expect(handleRules('小林小林')).toEqual({ form: false, start: false })
  })

  it('passwords are long, and not the handle', () => {
    expect(passwordRules('', 'ada')).toEqual({ length: false, handle: false })
    expect(passwordRules('Ada_Lovelace', 'ada_lovelace')).toEqual({ length: true, handle: false })
    expect(passwordRules('一二三四五六七八', 'ada')).toEqual({ length: true, handle: true })
  })

  it('names are counted as people read them', () => {
    expect(isName('👩‍👩‍👧'.repeat(60))).toBe(true)
    expect(isName('a'.repeat(61))).toBe(false)
    expect(isName('  ')).toBe(false)
  })

  it('phones may be written in many ways', () => {
    for (const phone of ['+86 138 0013 8000', '１３８００１３８０００', '(030) 123-456']) expect(looksLikePhone(phone)).toBe(true)
    for (const other of ['lin', '12', '+86 abc 12345']) expect(looksLikePhone(other)).toBe(false)
  })

  it('somebody is sought by handle or phone', () => {
    expect(personSought('@Lin')).toEqual({ handle: 'lin' })
    expect(personSought(' 138 0013 8000 ')).toEqual({ phone: '138 0013 8000' })
    expect(personSought('??')).toBeNull()
  })
})
