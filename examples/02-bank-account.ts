// Event sourcing: accounts are what their events say. A snapshot saves most of the replay, and a rebuild from the log proves it right.
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json, openWal, type Wal } from 'walrus-wal'

type AccountEvent =
  | { type: 'opened'; account: string; owner: string }
  | { type: 'deposited'; account: string; cents: number }
  | { type: 'withdrawn'; account: string; cents: number }

const say = (text = ''): void => console.log(text)

function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(message)
}

/** All accounts as of one entry of the log. Only `apply` changes them, so the same events give the same state. */
class Bank {
  readonly balances = new Map<string, number>()
  /** The last event in it. */
  index = 0

  apply(index: number, event: AccountEvent): void {
    const balance = this.balances.get(event.account) ?? 0
    if (event.type === 'opened') this.balances.set(event.account, 0)
    else if (event.type === 'deposited') this.balances.set(event.account, balance + event.cents)
    else this.balances.set(event.account, balance - event.cents)
    this.index = index
  }

  toString(): string {
    return JSON.stringify({ index: this.index, balances: [...this.balances] })
  }

  static from(snapshot: string): Bank {
    const bank = new Bank()
    const { index, balances } = JSON.parse(snapshot) as { index: number; balances: [string, number][] }
    for (const [account, cents] of balances) bank.balances.set(account, cents)
    bank.index = index
    return bank
  }
}

/** Decides on commands. Events go into the log first and change the state once they are durable. */
class Teller {
  readonly #wal: Wal<AccountEvent>
  readonly #bank: Bank

  constructor(wal: Wal<AccountEvent>, bank: Bank) {
    this.#wal = wal
    this.#bank = bank
  }

  open(account: string, owner: string): Promise<void> {
    check(!this.#bank.balances.has(account), `${account} exists`)
    return this.#store([{ type: 'opened', account, owner }])
  }

  deposit(account: string, cents: number): Promise<void> {
    return this.#store([{ type: 'deposited', account, cents }])
  }

  /** Both sides of a transfer are one batch: after a crash both are there or none. */
  transfer(from: string, to: string, cents: number): Promise<void> {
    if ((this.#bank.balances.get(from) ?? 0) < cents) throw new Error(`${from} has not got ${cents / 100}`)
    return this.#store([
      { type: 'withdrawn', account: from, cents },
      { type: 'deposited', account: to, cents },
    ])
  }

  /** `expectedLastIndex` refuses what was decided on a state that is no longer the newest. */
  async #store(events: AccountEvent[]): Promise<void> {
    const { firstIndex } = await this.#wal.appendBatch(events, { expectedLastIndex: this.#bank.index })
    for (const [place, event] of events.entries()) this.#bank.apply(firstIndex + place, event)
  }
}

async function replay(wal: Wal<AccountEvent>, bank: Bank): Promise<number> {
  let events = 0
  for await (const { index, data } of wal.replay(bank.index + 1)) {
    bank.apply(index, data)
    events++
  }
  return events
}

const directory = await mkdtemp(join(tmpdir(), 'walrus-bank-'))
const snapshotFile = join(directory, 'snapshot.json')
try {
  const wal = await openWal(join(directory, 'log'), { encoding: json<AccountEvent>() })
  const bank = new Bank()
  const teller = new Teller(wal, bank)
  await teller.open('ada', 'Ada Lovelace')
  await teller.open('bob', 'Bob Kahn')
  for (let day = 1; day <= 500; day++) {
    await teller.deposit('ada', day)
    if (day % 5 === 0) await teller.transfer('ada', 'bob', day)
  }
  say(`1. ${wal.lastIndex} events: ada has ${bank.balances.get('ada')} cents, bob ${bank.balances.get('bob')}.`)

  let refused = ''
  try {
    await teller.transfer('bob', 'ada', 10_000_000)
  } catch (error) {
    refused = (error as Error).message
  }
  check(refused !== '', 'a transfer of more than there is was let through')
  say(`2. A transfer too large is refused, and leaves no event: ${refused}.`)

  await writeFile(`${snapshotFile}.new`, String(bank))
  await rename(`${snapshotFile}.new`, snapshotFile)
  say(`3. A snapshot of the state is stored, as of event ${bank.index}.`)
  for (let day = 501; day <= 520; day++) await teller.deposit('bob', day)
  const expected = String(bank)
  await wal.close()

  const reopened = await openWal(join(directory, 'log'), { encoding: json<AccountEvent>() })
  const restored = Bank.from(await readFile(snapshotFile, 'utf8'))
  const few = await replay(reopened, restored)
  check(String(restored) === expected, 'the snapshot and the events behind it give another state')
  say(`4. After a restart: the snapshot and ${few} events behind it give the same state.`)

  const rebuilt = new Bank()
  const all = await replay(reopened, rebuilt)
  check(String(rebuilt) === expected, 'the log gives another state than the snapshot')
  check(all === reopened.lastIndex && few === 20, 'the wrong number of events was replayed')
  say(`5. Rebuilt from all ${all} events, without the snapshot: the same again.`)

  const history = []
  for await (const { data } of reopened.replay()) if (data.account === 'bob') history.push(data)
  const bob = history.reduce((sum, event) => sum + (event.type === 'deposited' ? event.cents : 0), 0)
  check(bob === rebuilt.balances.get('bob'), 'the history of bob does not add up')
  say(`6. The log is the history too: ${history.length} events of bob, ${bob} cents in all.`)
  await reopened.close()
} finally {
  await rm(directory, { recursive: true })
}
