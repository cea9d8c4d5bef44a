import { firstValueFrom, from, lastValueFrom, take, toArray } from 'rxjs'
import { describe, expect, it } from 'vitest'
import { projection } from '../../src/rxjs.js'
import { fill, indexes, open, range } from '../consumers/scene.js'
import { turns, until, walError } from '../helpers/waiting.js'

describe('projection', () => {
  it('processes every entry and tells how far it has come', async () => {
    const { wal } = await open()
    await fill(wal, 5)
    const seen: number[] = []
    const progress = projection(wal, 'view', entries => void seen.push(...indexes(entries)))
    const told = lastValueFrom(progress.pipe(toArray()))
    await until(() => seen.length === 5)
    await wal.append('e6')
    await until(() => seen.length === 6)
    await wal.close()
    const all = await told
    expect(seen).toEqual(range(1, 6))
    expect(all.at(-1)).toEqual({ checkpointIndex: 6, lagEntries: 0 })
    expect(all.map(({ checkpointIndex }) => checkpointIndex)).toEqual(
      [...new Set(all.map(({ checkpointIndex }) => checkpointIndex))].sort((a, b) => a - b),
    )
  })

  it('does nothing before it is subscribed to, and starts again where it was left', async () => {
    const { wal } = await open()
    await fill(wal, 3)
    const seen: number[] = []
    const progress = projection(wal, 'view', entries => void seen.push(...indexes(entries)))
    await turns(20)
    expect(seen).toEqual([])
    await firstValueFrom(progress)
    await until(() => wal.stats().consumers === 0)
    await fill(wal, 2)
    await firstValueFrom(progress)
    expect(seen).toEqual(range(1, 5))
    await wal.close()
  })

  it('lets the handler in hand finish when it is unsubscribed from, and leaves nothing open', async () => {
    const { wal } = await open()
    await fill(wal, 3)
    let finish = () => {}
    const subscription = projection(
      wal,
      'view',
      () => new Promise<void>(resolve => void (finish = resolve)),
    ).subscribe()
    await until(() => wal.stats().cursors === 1)
    await turns(20)
    subscription.unsubscribe()
    await turns(20)
    expect(wal.stats().consumers).toBe(1)
    finish()
    await until(() => wal.stats().consumers === 0)
    expect(wal.stats().cursors).toBe(0)
    expect(wal.consumers()).toMatchObject([{ checkpointIndex: 3, active: false }])
    await wal.close()
  })

  it('errors with what the handler threw', async () => {
    const { wal } = await open()
    await fill(wal, 3)
    const failing = () => {
      throw new Error('no view')
    }
    await expect(lastValueFrom(projection(wal, 'view', failing))).rejects.toThrow('no view')
    const skipping = projection(wal, 'view', failing, { onError: 'skip', checkpointIntervalMs: 1 })
    expect(await firstValueFrom(skipping.pipe(take(1)))).toEqual({ checkpointIndex: 3, lagEntries: 0 })
    await wal.close()
  })

  it('errors when somebody else reads under the name, or an option is wrong', async () => {
    const { wal } = await open()
    await fill(wal, 1)
    const chunks = wal.consumer('view').chunks()
    await chunks.next()
    await walError(lastValueFrom(projection(wal, 'view', () => {})), 'WAL_CONSUMER_ACTIVE')
    await walError(lastValueFrom(projection(wal, 'view', () => {}, { every: 1 } as never)), 'WAL_INVALID_OPTION')
    await wal.close()
  })

  it('takes the options of consumer and run', async () => {
    const { wal } = await open()
    await fill(wal, 6)
    const chunks: number[][] = []
    const options = { from: 2, chunkMaxEntries: 2, filter: ({ index }: { index: number }) => index !== 4 }
    const stop = new AbortController()
    const progress = projection(wal, 'view', entries => void chunks.push(indexes(entries)), {
      ...options,
      signal: stop.signal,
    })
    const told = lastValueFrom(progress)
    await until(() => chunks.flat().length === 4)
    stop.abort()
    expect((await told).checkpointIndex).toBe(6)
    expect(chunks).toEqual([[2, 3], [5], [6]])
    await wal.close()
  })

  it('a tail is an ObservableInput as it is', async () => {
    const { wal } = await open()
    await fill(wal, 3)
    expect(indexes(await lastValueFrom(from(wal.tail()).pipe(take(3), toArray())))).toEqual([1, 2, 3])
    await until(() => wal.stats().cursors === 0)
    await wal.close()
  })
})
