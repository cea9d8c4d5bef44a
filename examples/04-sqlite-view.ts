// A read model in SQLite that sees every entry exactly once: the consumer's position is stored in the transaction of the view. The
// program that keeps it is killed again and again, and nothing is counted twice or left out.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { json, openWal } from 'walrus-wal'
import { openSales, type Sale } from './sales.js'

const SALES = 1_500
/** The program is killed some moments after it has reported this many sales, and again at the next. */
const KILL_AT = [200, 600, 1_000]
const PRODUCTS = ['apples', 'bread', 'coffee', 'dates', 'eggs']

const say = (text = ''): void => console.log(text)

function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(message)
}

async function writeSales(log: string): Promise<Map<string, number>> {
  const wal = await openWal(log, { encoding: json<Sale>() })
  const totals = new Map<string, number>()
  for (let sale = 0; sale < SALES; sale++) {
    const product = PRODUCTS[(sale * 7) % PRODUCTS.length] ?? 'air'
    const quantity = 1 + (sale % 9)
    totals.set(product, (totals.get(product) ?? 0) + quantity)
    wal.submit({ product, quantity })
  }
  await wal.sync()
  await wal.close()
  return totals
}

/** Runs the program that keeps the view. Kills it once it has reported `killAt` sales; returns how many it had reported. */
async function project(directory: string, killAt: number): Promise<{ reported: number; resumedAt: number }> {
  const program = fork(fileURLToPath(new URL('sqlite-view-writer.js', import.meta.url)), [directory])
  let reported = 0
  let resumedAt = 0
  program.on('message', (message: { processed: number } | { resumedAt: number }) => {
    if ('resumedAt' in message) resumedAt = message.resumedAt
    else reported = message.processed
    if (reported >= killAt) setTimeout(() => program.kill('SIGKILL'), Math.random() * 40)
  })
  const [code, signal] = await once(program, 'exit')
  check(killAt === Infinity ? code === 0 : signal === 'SIGKILL', `the program ended with ${code ?? signal}`)
  return { reported, resumedAt }
}

const directory = await mkdtemp(join(tmpdir(), 'walrus-view-'))
try {
  const totals = await writeSales(join(directory, 'log'))
  say(`1. ${SALES} sales are in the log.`)
  for (const killAt of KILL_AT) {
    const { reported, resumedAt } = await project(directory, killAt)
    say(`2. The view was kept from sale ${resumedAt + 1} on; killed with SIGKILL when it had reported ${reported}.`)
  }
  const { resumedAt } = await project(directory, Infinity)
  say(`3. It went on from sale ${resumedAt + 1}, and has come to the end.`)

  const view = openSales(directory)
  say('4. The view and the log, product by product:')
  for (const { product, quantity, sales } of view.all()) {
    say(`   ${product.padEnd(8)} ${String(quantity).padStart(6)} sold in ${sales} sales`)
    check(totals.get(product) === quantity, `${product}: the log says ${totals.get(product)}`)
  }
  const counted = view.all().reduce((sum, { sales }) => sum + sales, 0)
  check(counted === SALES, `${counted} sales were counted, not ${SALES}`)
  view.close()
  say(`   The same: each of the ${SALES} sales took effect exactly once.`)
} finally {
  await rm(directory, { recursive: true })
}
