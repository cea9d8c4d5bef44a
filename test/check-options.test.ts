import { describe, expect, test } from 'vitest'
import { checkOptions, oneOf, rules } from '../src/check-options.js'
import { WalError } from '../src/errors.js'

const check =
  (value: unknown, rule: (typeof rules)[keyof typeof rules] = rules.count) =>
  () =>
    checkOptions('call()', { name: value }, { name: rule })

describe('checkOptions', () => {
  test('an option that is not known is refused by name, with what is known', () => {
    const unknown = () => checkOptions('call()', { nmae: 1 }, { name: rules.count, other: rules.boolean })
    expect(unknown).toThrow(new WalError('WAL_INVALID_OPTION', "call() has no option 'nmae'; it knows name, other"))
    expect(() => checkOptions('call()', { toString: 1 }, {})).toThrow(/no option 'toString'/)
  })

  test('a value that breaks its rule is refused with the option, the rule and the value', () => {
    const message = "option 'name' of call() must be an integer of 1 or more, got 0"
    expect(check(0)).toThrow(new WalError('WAL_INVALID_OPTION', message))
  })

  test.each([['text'], [null], [[]], [{}], [Symbol('s')], [() => 1], [Object.create(null)]])(
    'a value of a wrong type (%o) is a TypeError with the code Node has for it',
    value => {
      expect(check(value)).toThrow(expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }))
    },
  )

  test('undefined counts as not given, for an option and for all of them', () => {
    expect(check(undefined)).not.toThrow()
    expect(() => checkOptions('call()', undefined, {})).not.toThrow()
    expect(() => checkOptions('call()', null, {})).toThrow(TypeError)
    expect(() => checkOptions('call()', 5, {})).toThrow(TypeError)
  })

  test.each([['start'], ['end'], [1], [-1], [{ timestamp: 0.5 }], [{ timestamp: new Date(0) }]])('from: %o', from => {
    expect(check(from, rules.from)).not.toThrow()
  })

  test.each([['middle'], [1.5], [Number.NaN], [{ timestamp: Number.NaN }], [{ timestamp: new Date('never') }]])(
    'from: %o is refused',
    from => {
      expect(check(from, rules.from)).toThrow(expect.objectContaining({ code: 'WAL_INVALID_OPTION' }))
    },
  )

  test.each([[null], [{}], [{ timestamp: '1' }], [{ timestamp: 1, index: 1 }], [new Date(0)]])(
    'from: %o is a TypeError',
    from => {
      expect(check(from, rules.from)).toThrow(TypeError)
    },
  )

  test('signal: what an AbortController has', () => {
    expect(check(new AbortController().signal, rules.signal)).not.toThrow()
    expect(check(new AbortController(), rules.signal)).toThrow(TypeError)
  })

  test('one of a few words', () => {
    const rule = { name: oneOf('data', 'entry') }
    expect(() => checkOptions('call()', { name: 'entry' }, rule)).not.toThrow()
    expect(() => checkOptions('call()', { name: 'row' }, rule)).toThrow(/must be 'data' or 'entry', got 'row'/)
    expect(() => checkOptions('call()', { name: 1 }, rule)).toThrow(TypeError)
  })
})
