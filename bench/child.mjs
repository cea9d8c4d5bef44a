// @ts-check
// Runs one body against one peer in this process and prints one line of JSON. Started by run.mjs, which hands over
// what to do as JSON in the first argument.
import { writeSync } from 'node:fs'
import { BODIES } from './bodies/index.mjs'
import { Budget } from './lib/budget.mjs'
import { makePayloads } from './lib/payload.mjs'
import { profiled } from './lib/profile.mjs'
import { LeftOut, PEERS } from './peers/contract.mjs'

const CHECK_MS = 3000
const CHECK_STEP = 20_000
const NO_LOG = { survives: '', options: '', count: () => 0, close: () => {} }

const spec = JSON.parse(process.argv[2] ?? '{}')
const payloads = makePayloads(spec.payloadBytes)

try {
  report(await main())
} catch (error) {
  if (!(error instanceof LeftOut)) throw error
  report({ leftOut: error.message })
}
process.exit(0)

async function main() {
  const body = BODIES[spec.body]
  if (body === undefined) throw new Error(`no body is named ${spec.body}`)
  const peer = spec.peer === 'none' ? undefined : await PEERS[spec.peer]?.()
  /** @type {any} */
  let opened = NO_LOG
  const open = async () => {
    if (peer !== undefined)
      opened = await peer.open(spec.directory, { ...spec.settings, payloadBytes: spec.payloadBytes })
    return opened
  }
  const log = body.opens === false ? NO_LOG : await open()
  const about = () => ({
    survives: opened.survives,
    options: opened.options,
    version: peer?.version() ?? process.versions.node,
  })
  const context = {
    log,
    reopenLog: open,
    payloads,
    budget: new Budget(spec),
    params: spec.params ?? {},
    announce: async (/** @type {object} */ result) => report({ ...about(), ...result }),
  }
  const { figures, profile } = spec.profile
    ? await profiled(() => body.run(context))
    : { figures: await body.run(context), profile: undefined }
  const rssMb = process.memoryUsage.rss() / 1024 / 1024
  await log.close()
  const checked = body.writes && !spec.params?.unchecked ? await check(open, figures.count) : undefined
  return { ...about(), ...figures, rss: rssMb, checked, profile }
}

/**
 * Opens the log again and compares what it holds with what was acknowledged, for three seconds at most.
 * @param {() => Promise<any>} open @param {number} acknowledged
 */
async function check(open, acknowledged) {
  const log = await open()
  const count = await log.count()
  if (Number.isNaN(count)) return 0
  if (count < acknowledged) throw new Error(`${count} entries read back, ${acknowledged} were acknowledged`)
  const deadline = performance.now() + CHECK_MS
  let position = 0
  if (log.range) {
    while (position < acknowledged && performance.now() < deadline) {
      const to = Math.min(acknowledged, position + CHECK_STEP)
      await log.range(position, to, (/** @type {Uint8Array} */ data) => payloads.assertIs(position++, data))
      if (position !== to) throw new Error(`read back up to ${position} where ${to} was asked for`)
    }
  } else {
    await log.scan((/** @type {Uint8Array} */ data) => payloads.assertIs(position++, data), acknowledged)
  }
  await log.close()
  return position
}

/** @param {object} result */
function report(result) {
  writeSync(1, `${JSON.stringify(result)}\n`)
}
