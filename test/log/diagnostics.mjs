// Subscribes to a channel that the library has asked for before, unused, when the collector had its chance at it.
import { subscribe } from 'node:diagnostics_channel'

const [library, directory] = process.argv.slice(2)
const { openWal } = await import(library)
const turn = () => new Promise(resolve => setTimeout(resolve, 5))
let heard = 0

const once = async name => {
  const wal = await openWal(`${directory}/${name}`)
  await wal.append('x')
  await wal.close()
}

await once('before')
await turn()
// What was collected is only noticed in a later turn, and then a channel of that name is forgotten: this one.
globalThis.gc()
subscribe('walrus:close', () => heard++)
await turn()
for (let i = 0; i < 5; i++) {
  await once(`after-${i}`)
  globalThis.gc()
  await turn()
}
console.log(heard)
