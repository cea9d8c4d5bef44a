// Takes the lock at argv[2], says how that went, and holds it until it is killed or, with `try`, ends at once.
import { hostname } from 'node:os'
import { nodeFileSystem } from '../../dist/file-system/node.js'

const [path, duration] = process.argv.slice(2)
const owner = JSON.stringify({ pid: process.pid, host: hostname(), startedAt: Date.now() })
try {
  const lock = await nodeFileSystem.lock(path, owner)
  console.log(lock ? 'held' : 'refused')
  if (lock && duration !== 'try') setInterval(() => {}, 60_000)
} catch (error) {
  console.log(`${error.code}: ${error.message}`)
}
