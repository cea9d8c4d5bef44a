// Follows a log for the tests of followers. argv: directory, how many entries to read before it is satisfied.
import { followWal, text } from '../../dist/index.js'

const [directory, count] = process.argv.slice(2)
const follower = await followWal(directory, { encoding: text() })
let seen = 0
for await (const entry of follower.tail()) {
  seen++
  if (entry.index !== seen || entry.data !== `entry ${seen}`) throw new Error(`entry ${entry.index} is ${entry.data}`)
  if (seen === Number(count)) break
}
await follower.get(1)
follower.getSync(seen)
await follower.verify()
console.log(`read ${seen}`)
// Nothing is closed: an idle follower does not keep the process alive, only one that somebody waits for.
