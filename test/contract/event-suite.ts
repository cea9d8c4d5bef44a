import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Wal, WalEvents } from '../../src/types.js'
import { turns, until, walError } from '../helpers/waiting.js'
import { fill, type MakeHeldWorld } from './world.js'

/** Everything a log emits from now on. */
function listen(wal: Wal<string>): [string, unknown][] {
  const heard: [string, unknown][] = []
  const names: (keyof WalEvents)[] = [
    'commit',
    'rotate',
    'remove',
    'truncate',
    'pause',
    'resume',
    'fail',
    'drain',
    'close',
  ]
  for (const name of names) wal.on(name, (...args: unknown[]) => heard.push([name, args[0]]))
  return heard
}

function hear(channel: string): unknown[] {
  const heard: unknown[] = []
  const listener = (message: unknown) => heard.push(message)
  subscribe(channel, listener)
  onTestFinished(() => {
    unsubscribe(channel, listener)
  })
  return heard
}

/** Uncaught exceptions and rejections, kept from ending the test, while it runs. */
function catchUncaught(): unknown[] {
  const caught: unknown[] = []
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    const others = process.listeners(event as 'uncaughtException')
    process.removeAllListeners(event)
    const listener = (error: unknown) => caught.push(error)
    process.on(event as 'uncaughtException', listener)
    onTestFinished(() => {
      process.removeAllListeners(event)
      for (const other of others) process.on(event as 'uncaughtException', other)
    })
  }
  return caught
}

/** Events, diagnostics channels, and that what their listeners do harms nobody. */
export function eventSuite(makeWorld: MakeHeldWorld): void {
  describe('events', () => {
    test('commit comes once per commit, after the promises of its entries', async () => {
      const wal = await makeWorld().open()
      const order: string[] = []
      wal.on('commit', ({ firstIndex, lastIndex }) => order.push(`commit ${firstIndex} to ${lastIndex}`))
      const calls = [wal.append('a'), wal.append('b'), wal.waitForCommit(2)].map((call, i) =>
        call.then(() => order.push(`promise ${i + 1}`)),
      )
      await Promise.all(calls)
      await turns()
      expect(order).toEqual(['promise 1', 'promise 2', 'promise 3', 'commit 1 to 2'])
    })

    test('each says what happened', async () => {
      const world = makeWorld()
      const wal = await world.open()
      const heard = listen(wal)
      const next = async () => {
        await until(() => heard.length > 0)
        return heard.splice(0)
      }
      await fill(wal, 5)
      expect(await next()).toMatchObject([['commit', { firstIndex: 1, lastIndex: 5, bytes: expect.any(Number) }]])
      await wal.rotate()
      expect(await next()).toMatchObject([
        ['rotate', { sealed: { id: 1, entries: 5, sealed: true }, opened: { id: 2, entries: 0, sealed: false } }],
      ])
      await fill(wal, 5)
      await next()
      await wal.truncateBefore(7)
      expect(await next()).toMatchObject([
        ['remove', { segment: { id: 1 }, reason: 'truncate' }],
        ['truncate', { side: 'before' }],
      ])
      await wal.truncateAfter(8)
      expect((await next()).at(-1)).toMatchObject(['truncate', { side: 'after' }])
      await wal.reset(100)
      expect((await next()).at(-1)).toMatchObject(['truncate', { side: 'reset' }])
      world.setDisk('full')
      const held = wal.append('held')
      expect(await next()).toMatchObject([['pause', { error: { code: 'WAL_NO_SPACE' } }]])
      world.setDisk('ok')
      await wal.resume()
      await held
      expect((await next()).map(([name]) => name).sort()).toEqual(['commit', 'resume'])
      world.setDisk('broken')
      await walError(wal.append('lost'), 'WAL_FAILED')
      expect(await next()).toMatchObject([['fail', { error: { code: 'WAL_FAILED' } }]])
      await wal.close()
      expect(await next()).toEqual([['close', undefined]])
    })

    test("there is no 'error' event: a failure that nobody listens to ends nothing", async () => {
      const world = makeWorld()
      const wal = await world.open()
      const caught = catchUncaught()
      world.setDisk('broken')
      await walError(wal.append('lost'), 'WAL_FAILED')
      await wal.close()
      await turns()
      expect(caught).toEqual([])
    })

    test('a failure nobody waits for is no unhandled rejection', async () => {
      const world = makeWorld()
      const wal = await world.open()
      const caught = catchUncaught()
      world.setDisk('broken')
      wal.submit('lost')
      await until(() => wal.status === 'failed')
      await turns()
      expect(caught).toEqual([])
    })

    test('what a listener throws or rejects with is uncaught, later; log, other listeners and callers go on', async () => {
      const wal = await makeWorld().open()
      const caught = catchUncaught()
      const heard: string[] = []
      wal.on('commit', () => {
        throw new Error('thrown')
      })
      wal.on('commit', async () => Promise.reject(new Error('rejected')))
      wal.on('commit', () => heard.push('other'))
      expect(await wal.append('a')).toBe(1)
      expect(await wal.append('b')).toBe(2)
      await until(() => caught.length >= 4)
      expect(caught.map(error => (error as Error).message).sort()).toEqual(['rejected', 'rejected', 'thrown', 'thrown'])
      expect([heard.length, wal.status]).toEqual([2, 'open'])
    })

    test('a listener may append, rotate and close', async () => {
      const wal = await makeWorld().open()
      const inner: Promise<unknown>[] = []
      wal.once('commit', () => inner.push(wal.append('inner'), wal.rotate()))
      await wal.append('outer')
      await until(() => inner.length === 2)
      expect((await Promise.all(inner))[0]).toBe(2)
      wal.once('commit', () => inner.push(wal.close()))
      await wal.append('last')
      await until(() => inner.length === 3)
      await inner[2]
      expect(wal.status).toBe('closed')
    })

    test('once hears one, off hears none, a listener added meanwhile hears from then on', async () => {
      const wal = await makeWorld().open()
      const heard: string[] = []
      const off = () => heard.push('off')
      wal.on('commit', off).off('commit', off)
      wal.once('commit', () => {
        heard.push('once')
        wal.on('commit', () => heard.push('later'))
      })
      for (const data of ['a', 'b']) {
        await wal.append(data)
        await turns()
      }
      expect(heard).toEqual(['once', 'later'])
    })
  })

  describe('diagnostics channels', () => {
    test('carry the payload of the events, with the directory', async () => {
      const world = makeWorld()
      const names = ['commit', 'sync', 'rotate', 'remove', 'recovery', 'truncate', 'close']
      const channels = Object.fromEntries(names.map(name => [name, hear(`walrus:${name}`)]))
      const wal = await world.open({ io: 'buffered' })
      const { directory } = wal
      await fill(wal, 3)
      await wal.rotate()
      await wal.truncateBefore(4)
      await wal.close()
      await turns()
      expect(channels['recovery']).toEqual([{ ...wal.recoveryReport, directory }])
      expect(channels['commit']).toMatchObject([{ firstIndex: 1, lastIndex: 3, directory }])
      expect(channels['sync']?.[0]).toMatchObject({ durationMs: expect.any(Number), directory })
      expect(channels['rotate']).toMatchObject([{ sealed: { id: 1 }, opened: { id: 2 }, directory }])
      expect(channels['remove']).toMatchObject([{ segment: { id: 1 }, reason: 'truncate', directory }])
      expect(channels['truncate']).toMatchObject([{ side: 'before', directory }])
      expect(channels['close']).toEqual([{ directory }])
    })

    test('a subscriber that throws harms nobody', async () => {
      const caught = catchUncaught()
      const throwing = () => {
        throw new Error('subscriber')
      }
      for (const name of ['walrus:commit', 'walrus:sync']) {
        subscribe(name, throwing)
        onTestFinished(() => {
          unsubscribe(name, throwing)
        })
      }
      const wal = await makeWorld().open({ io: 'buffered' })
      expect(await wal.append('a')).toBe(1)
      await wal.close()
      await until(() => caught.length >= 2)
    })
  })

  describe('a logger', () => {
    test('hears what opening found', async () => {
      const world = makeWorld()
      await world.write('notes.txt', Buffer.from('mine'))
      const warned: [object, string | undefined][] = []
      const quiet = () => undefined
      const logger = {
        debug: quiet,
        info: quiet,
        error: quiet,
        warn: (obj: object, msg?: string) => warned.push([obj, msg]),
      }
      const wal = await world.open({ logger })
      await wal.append('a')
      expect(warned).toMatchObject([[{ name: 'notes.txt' }, expect.any(String)]])
    })

    test('that throws harms nobody', async () => {
      const world = makeWorld()
      await world.write('notes.txt', Buffer.from('mine'))
      const caught = catchUncaught()
      const fail = () => {
        throw new Error('logger')
      }
      const wal = await world.open({ logger: { debug: fail, info: fail, warn: fail, error: fail } })
      expect(await wal.append('a')).toBe(1)
      await turns()
      expect(caught.every(error => (error as Error).message === 'logger')).toBe(true)
    })
  })
}
