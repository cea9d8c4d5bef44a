// The program that 04-sqlite-view.ts starts and kills: keeps the view up to date with the log, then ends.
import { join } from 'node:path'
import { json, openWal } from 'walrus-wal'
import { openSales, type Sale } from './sales.js'

const directory = process.argv[2] ?? ''
const wal = await openWal(join(directory, 'log'), { encoding: json<Sale>() })
const view = openSales(directory)
const consumer = wal.consumer('sales')

// The view knows best what is in it: the consumer's own checkpoint may be behind.
const { position } = view
if (position !== undefined) consumer.seek({ position })
process.send?.({ resumedAt: consumer.checkpointIndex })

const running = consumer.run(
  entries => {
    view.add(
      entries.map(({ data }) => data),
      consumer.position ?? '',
    )
    process.send?.({ processed: entries.lastIndex })
  },
  { chunkMaxEntries: 40 },
)
await Promise.race([consumer.whenCaughtUp(), running])
await wal.close()
await running
view.close()
process.disconnect?.()
