// A writer that ends by itself, in one of several ways, in the midst of its work. What it was told is on its standard output by then.
import { writeSync } from 'node:fs'
import { openWal } from '../../dist/index.js'

const [directory, way, after, writerThread] = process.argv.slice(2)
const BATCH = 3

const wal = await openWal(directory, { writerThread: writerThread === 'true' })
const dataOf = index => `entry ${index}`

function end() {
  if (way === 'exit') process.exit(3)
  if (way === 'throw') {
    setImmediate(() => {
      throw new Error('of the program')
    })
  }
}

let isEnding = false
wal.on('commit', ({ lastIndex }) => {
  writeSync(1, `${lastIndex}\n`)
  if (lastIndex < Number(after) || isEnding) return
  isEnding = true
  end()
})

// All in one go and over some turns of the event loop: there is always something accepted that is not committed.
for (let turn = 0; turn < 40 && !isEnding; turn++) {
  for (let n = 0; n < 5; n++) {
    const first = wal.lastIndex + 1
    void wal.appendBatch(Array.from({ length: BATCH }, (_, i) => dataOf(first + i)))
  }
  await new Promise(resolve => setImmediate(resolve))
}
