// Appends so many entries, one after the other, between two calls that a trace shows: looking for files that are not there.
import { existsSync } from 'node:fs'

const [library, directory, io, appends] = process.argv.slice(2)
const { openWal } = await import(library)
const wal = await openWal(directory, { io })
await wal.append('the first clears a flag in the manifest')
existsSync('/trace-begins')
for (let i = 0; i < Number(appends); i++) await wal.append(`entry ${i}`)
existsSync('/trace-ends')
console.log(wal.stats().io)
await wal.close()
