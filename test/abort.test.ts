import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { abortable, onAbort } from '../src/abort.js'
import { rejection } from './helpers/waiting.js'

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length

describe('onAbort', () => {
  test('a thousand callbacks share one listener, and all are called once', () => {
    const controller = new AbortController()
    const reasons: unknown[] = []
    for (let n = 0; n < 1000; n++) onAbort(controller.signal, reason => reasons.push(reason))
    expect(listeners(controller.signal)).toBe(1)
    controller.abort('reason')
    expect(reasons).toEqual(Array(1000).fill('reason'))
    expect(listeners(controller.signal)).toBe(0)
  })

  test('the same function twice is two callbacks', () => {
    const controller = new AbortController()
    let calls = 0
    const count = () => calls++
    const first = onAbort(controller.signal, count)
    onAbort(controller.signal, count)
    first()
    controller.abort()
    expect(calls).toBe(1)
  })

  test('the last to unsubscribe takes the listener away, and the next one brings it back', () => {
    const controller = new AbortController()
    let calls = 0
    const [one, two] = [onAbort(controller.signal, () => calls++), onAbort(controller.signal, () => calls++)]
    one()
    expect(listeners(controller.signal)).toBe(1)
    two()
    two()
    expect(listeners(controller.signal)).toBe(0)
    onAbort(controller.signal, () => calls++)
    two()
    onAbort(controller.signal, () => calls++)
    expect(listeners(controller.signal)).toBe(1)
    controller.abort()
    expect(calls).toBe(2)
  })
})

describe('abortable', () => {
  test('settles as the promise does and lets the signal go', async () => {
    const { signal } = new AbortController()
    expect(await abortable(Promise.resolve(1), signal)).toBe(1)
    expect(await abortable(Promise.resolve(2), undefined)).toBe(2)
    expect(await rejection(abortable(Promise.reject('no'), signal))).toBe('no')
    expect(listeners(signal)).toBe(0)
  })

  test('rejects with the reason, or what is made of it, when the signal is first', async () => {
    const controller = new AbortController()
    const never = new Promise<void>(() => undefined)
    const plain = rejection(abortable(never, controller.signal))
    const made = rejection(abortable(never, controller.signal, reason => `made of ${reason}`))
    expect(listeners(controller.signal)).toBe(1)
    controller.abort('reason')
    expect([await plain, await made]).toEqual(['reason', 'made of reason'])
  })

  test('a signal that has aborted wins, and a late rejection of the promise is nobody’s concern', async () => {
    const late = new Promise((_resolve, reject) => setImmediate(reject, new Error('late')))
    expect(await rejection(abortable(late, AbortSignal.abort('reason')))).toBe('reason')
    await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
  })
})
