// Change data capture: changes of a table flow through a log into a replica. The log stands in the middle of the pipeline, so what
// the replica is given is durable, and a replica that breaks goes on where it was.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Entry, json, openWal, type Wal } from 'walrus-wal'

type Row = { id: number; name: string; stock: number }
type Change = { kind: 'insert' | 'update'; row: Row } | { kind: 'delete'; id: number }

const CHANGES = 5_000
/** The replica breaks at this entry. */
const BREAKS_AT = 3_210

const say = (text = ''): void => console.log(text)

function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(message)
}

/** A table that is changed all the time, with a journal of its changes, as a database has one for replication. */
class Table {
  readonly rows = new Map<number, Row>()
  readonly #journal: Change[] = []

  work(count: number): void {
    for (let i = 0; i < count; i++) this.#journal.push(this.#change(this.#journal.length))
  }

  /** The changes from the one of this number on; the first is 1. */
  *changes(from: number): Generator<Change> {
    yield* this.#journal.slice(from - 1)
  }

  #change(n: number): Change {
    const id = 1 + ((n * 7919) % 400)
    const known = this.rows.get(id)
    if (known && n % 7 === 0) {
      this.rows.delete(id)
      return { kind: 'delete', id }
    }
    const row = { id, name: known?.name ?? `article ${id}`, stock: (known?.stock ?? 10) + (n % 3) - 1 }
    this.rows.set(id, row)
    return { kind: known ? 'update' : 'insert', row }
  }
}

/** The copy. Knows which entry it has applied last, as a database would store it beside the rows. */
class Replica {
  readonly rows = new Map<number, Row>()
  index = 0

  apply({ index, data }: Entry<Change>): void {
    check(index === this.index + 1, `entry ${index} came after ${this.index}`)
    if (data.kind === 'delete') this.rows.delete(data.id)
    else this.rows.set(data.row.id, data.row)
    this.index = index
  }

  /** A stream to pipe entries into. */
  sink(breaksAt = Infinity): Writable {
    return new Writable({
      objectMode: true,
      write: (entry: Entry<Change>, _encoding, done) => {
        if (entry.index === breaksAt) return done(new Error('the replica is out of order'))
        this.apply(entry)
        done()
      },
    })
  }
}

/**
 * Captures what the log has not got yet and copies it: a change's number in the journal is its index in the log. The transform takes
 * changes in and gives entries out, once they are durable.
 */
function replicate(table: Table, wal: Wal<Change>, sink: Writable): Promise<void> {
  return pipeline(Readable.from(table.changes(wal.lastIndex + 1)), wal.transform(), sink)
}

const directory = await mkdtemp(join(tmpdir(), 'walrus-cdc-'))
try {
  const wal = await openWal(directory, { encoding: json<Change>() })
  const table = new Table()
  const replica = new Replica()
  table.work(CHANGES)
  let broken = ''
  try {
    await replicate(table, wal, replica.sink(BREAKS_AT))
  } catch (error) {
    broken = (error as Error).message
  }
  check(broken !== '', 'the replica has not broken')
  await wal.sync()
  say(`1. The pipeline broke at entry ${BREAKS_AT}: ${broken}. ${wal.lastIndex} changes are in the log by then.`)
  check(wal.durableIndex >= replica.index, 'the replica has a change that is not durable')

  await pipeline(wal.readable({ from: replica.index + 1, live: false }), replica.sink())
  say(`2. The replica is mended and reads what it has missed from the log: it is at entry ${replica.index}.`)

  table.work(1_000)
  await replicate(table, wal, replica.sink())
  say(`3. The pipeline goes on: ${wal.lastIndex} changes, the replica is at entry ${replica.index}.`)

  check(replica.index === wal.lastIndex, 'the replica has not come to the end')
  const rebuilt = new Replica()
  await pipeline(wal.readable({ live: false }), rebuilt.sink())
  const rows = (map: Map<number, Row>) => JSON.stringify([...map].sort(([a], [b]) => a - b))
  check(rows(replica.rows) === rows(rebuilt.rows), 'the replica differs from the log')
  check(rows(rebuilt.rows) === rows(table.rows), 'the log differs from the table')
  say(`4. Table, replica, and a replica built anew from the log have the same ${table.rows.size} rows.`)
  await wal.close()
} finally {
  await rm(directory, { recursive: true })
}
