// Writes a log for the tests of followers. argv: directory, what to do.
import { openWal, text } from '../../dist/index.js'

const [directory, what] = process.argv.slice(2)
const wal = await openWal(directory, { encoding: text(), rotation: { maxEntries: 50 } })
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

if (what === 'slowly') {
  // Each entry says when its append resolved: not before that may anybody else see it, and not long after it everybody should.
  for (let i = 0; i < 120; i++) {
    const index = await wal.append(`entry ${i + 1}`)
    process.stdout.write(`${index} ${Date.now()}\n`)
    await sleep(15)
  }
} else if (what === 'until killed') {
  for (;;) process.stdout.write(`${await wal.append(`entry ${wal.lastIndex + 1}`)}\n`)
} else {
  for (let i = 1; i <= Number(what); i++) await wal.append(`entry ${i}`)
}
await wal.close()
