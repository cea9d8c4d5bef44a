// A transactional outbox: what has to be told to another system is an entry of the log, and a consumer delivers it until it is taken.
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json, openWal, type Wal } from 'walrus-wal'

type Message = { id: string; order: number; text: string }

const ORDERS = 60
/** An order that the shop will never take. */
const POISON = 17

const say = (text = ''): void => console.log(text)

function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(message)
}

/** The other system. It fails now and then, loses answers, and knows messages it has had by their id. */
class Shop {
  readonly received: Message[] = []
  readonly #known = new Set<string>()
  requests = 0
  repeated = 0
  readonly #server: Server

  constructor() {
    this.#server = createServer(async (request, response) => {
      let body = ''
      for await (const text of request.setEncoding('utf8')) body += text
      response.writeHead(this.#take(JSON.parse(body) as Message)).end()
    })
  }

  #take(message: Message): number {
    this.requests++
    if (message.order === POISON) return 422
    if (this.requests % 7 === 0) return 503
    if (this.#known.has(message.id)) this.repeated++
    else this.received.push(message)
    this.#known.add(message.id)
    // Taken, but the answer says otherwise: it will come again.
    return this.requests % 11 === 0 ? 500 : 204
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/messages`
  }

  async close(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }
}

/** The shop says that it will never take this message. */
class Rejected extends Error {}

async function deliver(url: string, message: Message, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(message), signal })
  if (response.status === 422) throw new Rejected(`order ${message.order} is refused`)
  if (!response.ok) throw new Error(`the shop answered ${response.status}`)
}

/** Delivers what is in the outbox until `upTo` is done. What can never be delivered goes into a log of its own. */
async function deliverAll(wal: Wal<Message>, dead: Wal<Message>, url: string, upTo: number): Promise<number> {
  const consumer = wal.consumer('shop')
  const begin = consumer.checkpointIndex
  const stop = new AbortController()
  const running = consumer.run(
    async ([entry], { signal }) => {
      if (entry) await deliver(url, entry.data, signal)
    },
    {
      chunkMaxEntries: 1,
      signal: stop.signal,
      retry: { attempts: 20, minDelayMs: 5, maxDelayMs: 50 },
      onError: async (error, entry) => {
        if (!(error instanceof Rejected)) return 'retry'
        await dead.append(entry.data)
        return 'skip'
      },
    },
  )
  await Promise.race([consumer.whenProcessed(upTo, { timeoutMs: 20_000 }), running])
  stop.abort()
  await running
  return begin
}

const directory = await mkdtemp(join(tmpdir(), 'walrus-outbox-'))
const shop = new Shop()
try {
  const url = await shop.listen()
  const dead = await openWal(join(directory, 'dead-letters'), { encoding: json<Message>() })

  let wal = await openWal(join(directory, 'outbox'), { encoding: json<Message>() })
  for (let order = 1; order <= ORDERS; order++) {
    // An order and what has to be told about it are one transaction: both are there, or none.
    const transaction = wal.transaction()
    transaction.append({ id: `${order}-placed`, order, text: 'placed' })
    transaction.append({ id: `${order}-paid`, order, text: 'paid' })
    await transaction.commit()
  }
  say(`1. ${ORDERS} orders are taken, ${wal.lastIndex} messages wait in the outbox. Nothing was sent yet.`)

  await deliverAll(wal, dead, url, 30)
  say(`2. ${shop.received.length} messages are delivered. The program stops here and starts again.`)
  await wal.close()

  wal = await openWal(join(directory, 'outbox'), { encoding: json<Message>() })
  const begin = await deliverAll(wal, dead, url, wal.lastIndex)
  check(begin >= 30, 'the consumer has lost its place')
  say(`3. It went on behind message ${begin}. The shop was asked ${shop.requests} times for ${wal.lastIndex} messages;`)
  say(`   it had failed now and then, and was told ${shop.repeated} of them twice, which it knew by their id.`)

  const expected = []
  for await (const { data } of wal.replay()) if (data.order !== POISON) expected.push(data.id)
  check(
    shop.received.map(({ id }) => id).join() === expected.join(),
    'the shop has not got every message once, in order',
  )
  check(dead.lastIndex === 2, 'the order that is refused is not among the dead letters')
  say(
    `4. Every message has arrived, in order; the ${dead.lastIndex} of order ${POISON}, which is refused, are kept apart.`,
  )
  await Promise.all([wal.close(), dead.close()])
} finally {
  await shop.close()
  await rm(directory, { recursive: true })
}
