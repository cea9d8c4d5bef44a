// A writer for the scenes on real file systems: appends entries whose data say their index, and tells on its standard output what was
// acknowledged, a line per commit. What reaches the pipe is outside of the disk that is about to fail.
import { openSync, writeSync } from 'node:fs'
import { openWal } from '../../dist/index.js'

const [directory, settings] = process.argv.slice(2)
const { options = {}, concurrency = 4, entries = Infinity, bytes = 200, hoard = false } = JSON.parse(settings ?? '{}')

/** Takes every file descriptor the process may still have. */
function takeAllDescriptors() {
  try {
    for (;;) openSync('/dev/null', 'r')
  } catch (error) {
    if (error.code !== 'EMFILE') throw error
  }
}

const say = message => writeSync(1, `${JSON.stringify(message)}\n`)
const describe = error => ({ code: error.code, cause: error.cause?.code ?? error.cause?.errno, message: error.message })

/** Data that can be told from the index alone. */
export const dataOf = index => `${index}:${'x'.repeat((index * 7919) % bytes)}`

try {
  const wal = await openWal(directory, options)
  wal.on('pause', ({ error }) => say({ paused: describe(error) }))
  wal.on('resume', () => say({ resumed: true }))
  say({ opened: wal.lastIndex, io: wal.stats().io })
  process.on('SIGUSR2', () => void wal.resume().catch(error => say({ resume: describe(error) })))
  if (hoard) takeAllDescriptors()
  // A paused log keeps no process alive; this one waits to be told to go on.
  const waiting = setInterval(() => undefined, 1000)
  let left = entries
  const write = async () => {
    while (left-- > 0) say({ acknowledged: await wal.append(dataOf(wal.lastIndex + 1)) })
  }
  await Promise.all(Array.from({ length: concurrency }, write))
  clearInterval(waiting)
  say({ segments: wal.segments().length })
  await wal.close()
  say({ closed: true })
} catch (error) {
  say({ failed: describe(error) })
  process.exit()
}
