import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { openWal } from '../../src/index.js'

const library = JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)

/** Writes 500 entries to a log of its own in a worker thread; resolves with its last index, or the code of what went wrong. */
function inThread(directory: string): Promise<number | string> {
  const program = `
    import(${library}).then(async ({ openWal }) => {
      const { workerData, parentPort } = await import('node:worker_threads')
      const wal = await openWal(workerData, { segmentMaxBytes: 5000 })
      await Promise.all(Array.from({ length: 500 }, (_, i) => wal.append('entry ' + (i + 1))))
      await wal.close()
      parentPort.postMessage(wal.lastIndex)
    }).catch(async error => (await import('node:worker_threads')).parentPort.postMessage(error.code))`
  return new Promise((resolve, reject) => {
    const worker = new Worker(program, { eval: true, workerData: directory })
    worker.once('message', resolve).once('error', reject)
  })
}

it('logs in worker threads and in the main thread work side by side; one directory has one writer', async () => {
  expect(fileURLToPath(JSON.parse(library) as string)).toContain('dist')
  const directory = mkdtempSync(join(tmpdir(), 'walrus-threads-'))
  try {
    const own = await openWal(join(directory, 'main'))
    const [a, b, refused] = await Promise.all([
      inThread(join(directory, 'a')),
      inThread(join(directory, 'b')),
      inThread(join(directory, 'main')),
      own.append('in the main thread'),
    ])
    expect([a, b, refused]).toEqual([500, 500, 'WAL_LOCKED'])
    await expect(openWal(join(directory, 'main'))).rejects.toMatchObject({ code: 'WAL_LOCKED' })
    await own.close()
    const read = await openWal(join(directory, 'a'))
    expect((await read.getRange(1, 500)).map(entry => entry.data.toString())).toEqual(
      Array.from({ length: 500 }, (_, i) => `entry ${i + 1}`),
    )
    await read.close()
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
