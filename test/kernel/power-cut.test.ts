import { describe, expect, it } from 'vitest'
import { rootWith } from '../helpers/machine.js'
import { check, Mount, pause, Writer } from './scene.js'

/** More by WALRUS_POWER_CUTS; `npm run powercuts` sets it. */
const CYCLES = Number(process.env['WALRUS_POWER_CUTS'] ?? 8)
/** Data are shorter than this; long enough to fill segments, and to bring zeros ahead of them, within a hundred entries. */
const DATA_BYTES = 2000
const canCut = rootWith(['mount', 'xfs_io', 'mkfs.ext4', 'mkfs.xfs'])
if (!canCut) console.log('Power cuts are left out: they need root, mount, xfs_io (xfsprogs) and mkfs.ext4.')

describe.runIf(canCut)('a power cut on a real file system', () => {
  it('is noticed where nothing was synced: the check can fail', async () => {
    const disk = Mount.image('ext4')
    try {
      const directory = `${disk.path}/log`
      const writer = new Writer(directory, { options: { sync: 'never' } })
      await writer.until(() => writer.acknowledged > 50)
      const { acknowledged } = writer
      disk.cutPower()
      await writer.kill()
      await disk.unmount()
      disk.mount()
      await expect(check(directory, acknowledged)).rejects.toThrow('lost')
    } finally {
      await disk.remove()
    }
  })

  const cases = [
    ['ext4', 'direct', 'pool'],
    ['ext4', 'buffered', 'pool'],
    ['xfs', 'direct', 'pool'],
    ['xfs', 'buffered', 'pool'],
    ['ext4', 'direct', 'thread'],
    ['xfs', 'buffered', 'thread'],
  ] as const

  it.each(cases)('loses nothing acknowledged: %s, io %s, written by the %s', async (kind, io, by) => {
    const disk = Mount.image(kind)
    try {
      const directory = `${disk.path}/log`
      let acknowledged = 0
      for (let cycle = 0; cycle < CYCLES; cycle++) {
        // In turn many segments, and one long enough for zeros ahead of its content.
        const rotates = cycle % 2 === 0
        const options = { io, segmentMaxBytes: rotates ? 20_000 : 4_000_000, writerThread: by === 'thread' }
        const writer = new Writer(directory, { options, concurrency: 1 + (cycle % 8), bytes: DATA_BYTES })
        const from = acknowledged
        await writer.until(() => writer.acknowledged > from + (rotates ? 20 : 100))
        await pause((cycle * 37) % 100)
        // What was told before the power went counts. An fdatasync under way at that moment may answer ok on ext4 although the journal
        // is aborted: a real power cut leaves nobody to hear such an answer.
        acknowledged = Math.max(acknowledged, writer.acknowledged)
        disk.cutPower()
        await writer.kill()
        await disk.unmount()
        disk.mount()
        expect(writer.find('io')).toBe(io)
        // What was accepted and not told may have survived as well: it counts from here on.
        acknowledged = await check(directory, acknowledged, DATA_BYTES)
      }
      console.log(`power cuts survived: ${CYCLES} (${kind}, ${io}, ${by}), ${acknowledged} entries`)
    } finally {
      await disk.remove()
    }
  })
})
