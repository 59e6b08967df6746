import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { outOf, readAmount, spelled } from '../src/money/amount'
import { CURRENCIES, decimalsOf, MOST, SIGNS, type Currency } from '../src/money/currency'
import { moneyShort, moneyText, moneyWords } from '../src/money/format'

const currency = fc.constantFrom<Currency>(...CURRENCIES)
const minor = fc.oneof(fc.integer({ min: 1, max: 1_000_000 }), fc.maxSafeNat().filter((each) => each > 0))

const read = (text: string, of: Currency = 'CNY'): number | string => {
  const { minor: found, fault } = readAmount(text, of)
  return fault ?? found
}

describe('amounts as people type them', () => {
  it('comma or point, full width, and what an input method makes of them', () => {
    for (const text of ['12.5', '12.50', '12,5', '12,50', '１２．５', '１２，５０', '12。5', '  12.50 ', '012.50', '+12.5']) expect([text, read(text)]).toEqual([text, 1250])
    for (const text of ['12', '12.', '12,', '１２', '١٢', '۱۲']) expect([text, read(text)]).toEqual([text, 1200])
    expect(read('١٢٫٥')).toBe(1250)
    expect(read('.5')).toBe(50)
    expect(read(',05')).toBe(5)
  })

  it('grouping in the ways of the world', () => {
    for (const text of ['1,234.50', '1.234,50', '1 234,50', '1\u00a0234.50', '1’234.50', "1'234,5", '1234.5', '１，２３４．５０']) expect([text, read(text)]).toEqual([text, 123_450])
    for (const text of ['1,234', '1,234.', '1234']) expect([text, read(text)]).toEqual([text, 123_400])
    expect(read('1,234,567')).toBe(123_456_700)
    expect(read('1.234.567')).toBe(123_456_700)
    for (const text of ['1,23,456', '12,34.5', '1.23,4.5', '1 23', "1'23", '1..2', '1,,2', ',', '.', '1 234 56', '1,234 567']) expect([text, read(text)]).toEqual([text, 'grouping'])
  })

  it('a pasted sign of the currency, before or behind', () => {
    for (const text of ['¥12.50', '￥12.50', 'CN¥12.50', 'CNY 12.50', '12.50 CNY', 'rmb12.5', '12.5元', '人民币12.5元', '12.5 块', '¥ 12.50', '+¥12.50']) expect([text, read(text)]).toEqual([text, 1250])
    expect(read('12.50 €', 'EUR')).toBe(1250)
    expect(read('1.234,50 €', 'EUR')).toBe(123_450)
    expect(read('$12.50', 'SGD')).toBe(1250)
    expect(read('HK$12.50', 'HKD')).toBe(1250)
  })

  it('the sign of another currency is named, not ignored', () => {
    expect(readAmount('€12', 'CNY')).toEqual({ minor: null, fault: 'currency', meant: ['EUR'] })
    expect(readAmount('US$12', 'SGD')).toMatchObject({ fault: 'currency', meant: ['USD'] })
    expect(readAmount('¥12', 'USD')).toMatchObject({ fault: 'currency', meant: ['CNY', 'JPY'] })
    expect(read('円12', 'CNY')).toBe('currency')
  })

  it('too many decimals are a fault of their own; yen have none', () => {
    for (const text of ['12.345', '12,3456', '1.000', '0,123', '0.001', '1234,567']) expect([text, read(text)]).toEqual([text, 'decimals'])
    expect(read('12', 'JPY')).toBe(12)
    expect(read('1,200', 'JPY')).toBe(1200)
    for (const text of ['12.5', '12.00', '1.000', '12,5']) expect([text, read(text, 'JPY')]).toEqual([text, 'decimals'])
  })

  it('what is no amount says why', () => {
    for (const [text, fault] of [
      ['', 'empty'],
      ['   ', 'empty'],
      ['¥', 'letters'],
      ['-', 'letters'],
      ['twelve', 'letters'],
      ['1e3', 'letters'],
      ['12a', 'letters'],
      ['<b>1</b>', 'letters'],
      ['0', 'zero'],
      ['0.00', 'zero'],
      ['-5', 'negative'],
      ['−5', 'negative'],
      ['-¥5', 'negative'],
      ['90071992547409.92', 'huge'],
      ['9'.repeat(400), 'huge'],
    ] as const) {
      expect([text, read(text)]).toEqual([text, fault])
    }
    expect(read('90071992547409.91')).toBe(MOST)
  })

  it('every amount is read as it is spelled and as it is shown, in both languages', () => {
    fc.assert(
      fc.property(minor, currency, fc.constantFrom('en', 'zh-CN'), fc.boolean(), (amount, of, language, wide) => {
        const shown = [spelled(amount, of), moneyText(amount, of, language), moneyText(amount, of, language, true)]
        for (const text of shown) {
          const typed = wide ? text.replaceAll(/[!-~]/g, (char) => String.fromCharCode(char.charCodeAt(0) + 0xfee0)) : text
          expect(readAmount(typed, of)).toEqual({ minor: amount, fault: null })
        }
      }),
    )
  })

  it('no text at all throws, and what is read is a whole number over 0', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[-+¥$€]?[\d., ']{0,20}[元€]?$/u)), currency, (text, of) => {
        const { minor: found, fault } = readAmount(text, of)
        if (fault === null) expect(Number.isSafeInteger(found) && found > 0).toBe(true)
        else expect(found).toBeNull()
      }),
    )
  })

  it('a point and a comma mean the same where only one stands', () => {
    fc.assert(
      fc.property(fc.nat(99_999), fc.integer({ min: 0, max: 99 }), (whole, cents) => {
        const decimals = String(cents).padStart(2, '0')
        expect(read(`${whole}.${decimals}`)).toEqual(read(`${whole},${decimals}`))
      }),
    )
  })
})

describe('bounds', () => {
  it('the nearest reason is told: too little, not there, too much', () => {
    expect(outOf(500, { least: 100, most: 1000, funds: 600 })).toBeNull()
    expect(outOf(99, { least: 100, most: 1000, funds: 50 })).toBe('least')
    expect(outOf(700, { least: 100, most: 650, funds: 600 })).toBe('funds')
    expect(outOf(700, { most: 650, funds: 800 })).toBe('most')
    expect(outOf(700, {})).toBeNull()
    expect(outOf(1, { funds: 0 })).toBe('funds')
  })
})

describe('amounts as they are shown', () => {
  it('with the sign of the currency and its decimals', () => {
    expect(moneyText(5000, 'CNY', 'en')).toBe('¥50.00')
    expect(moneyText(5000, 'CNY', 'zh-CN')).toBe('¥50.00')
    expect(moneyText(123_456_789, 'EUR', 'en')).toBe('€1,234,567.89')
    expect(moneyText(5000, 'JPY', 'zh-CN')).toBe('JP¥5,000')
    expect(moneyText(5, 'HKD', 'en')).toBe('HK$0.05')
    expect(moneyText(-1250, 'GBP', 'en')).toBe('−£12.50')
    expect(moneyText(1250, 'CNY', 'zh-CN', true)).toBe('+¥12.50')
    expect(moneyText(0, 'CNY', 'en', true)).toBe('¥0.00')
  })

  it('exactly, also where floating point would round', () => {
    expect(moneyText(MOST, 'CNY', 'en')).toBe('¥90,071,992,547,409.91')
    expect(spelled(MOST - 1, 'USD')).toBe('90071992547409.90')
    expect(spelled(-5, 'CNY')).toBe('-0.05')
    expect(spelled(5, 'JPY')).toBe('5')
  })

  it('in words, and short beside a chart', () => {
    expect(moneyWords(1250, 'CNY', 'en')).toBe('12.50 Chinese yuan')
    expect(moneyWords(1250, 'CNY', 'zh-CN')).toBe('12.50人民币')
    expect(moneyShort(120_000, 'CNY', 'en')).toBe('¥1,200')
    expect(moneyShort(1250, 'CNY', 'en')).toBe('¥12.50')
    expect(moneyShort(2000, 'JPY', 'en')).toBe('JP¥2,000')
  })

  it('no two currencies share a sign', () => {
    expect(new Set(Object.values(SIGNS)).size).toBe(CURRENCIES.length)
    expect(CURRENCIES.filter((each) => decimalsOf(each) === 0)).toEqual(['JPY'])
  })
})
