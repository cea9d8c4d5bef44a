import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openWal, text } from '../../src/index.js'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'walrus-leftovers-'))
})
afterEach(() => rmSync(root, { recursive: true }))

const inRoot = (...path: string[]) => join(root, ...path)

/** A log as a writer leaves it that was killed with two entries on disk. */
async function killedLog(directory: string): Promise<void> {
  await using wal = await openWal(inRoot('living'), { encoding: text() })
  await wal.appendBatch(['one', 'two'])
  cpSync(inRoot('living'), directory, { recursive: true })
}

describe('unfinished files of a writer that was killed', () => {
  it('a half-made segment does not stop the next recovery, which makes one under the same name', async () => {
    await killedLog(inRoot('killed'))
    writeFileSync(inRoot('killed', 'next.tmp'), 'half a header')
    await using wal = await openWal(inRoot('killed'), { encoding: text() })
    expect((await wal.getRange(1, 2)).map(({ data }) => data)).toEqual(['one', 'two'])
    expect(wal.recoveryReport.removedFiles).toContain(inRoot('killed', 'next.tmp'))
    expect(existsSync(inRoot('killed', 'next.tmp'))).toBe(false)
  })

  it('nor does a half-made mark', async () => {
    await killedLog(inRoot('killed'))
    writeFileSync(inRoot('killed', 'mark.tmp'), 'half a mark')
    await using wal = await openWal(inRoot('killed'), { encoding: text() })
    expect(wal.lastIndex).toBe(2)
    expect(existsSync(inRoot('killed', 'mark.tmp'))).toBe(false)
  })

  it('a half-made manifest of a log that never was does not stop its creation', async () => {
    mkdirSync(inRoot('new'))
    writeFileSync(inRoot('new', 'manifest.tmp'), 'half a manifest')
    writeFileSync(inRoot('new', 'next.tmp'), '')
    await using wal = await openWal(inRoot('new'), { encoding: text() })
    expect(await wal.append('first')).toBe(1)
  })
})
