// `npm run kill9 -- --rounds 500 --seed 1`: a process that writes is killed with SIGKILL over and over, in the same directory;
// nothing acknowledged may be lost, nothing invented.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { readLedger } from './ledger.js'
import { randomFrom } from './random.js'
import { verifyLog } from './verify.js'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '50' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    format: { type: 'string', default: 'binary' },
    keep: { type: 'boolean', default: false },
  },
})
const roundsWanted = Number(values.rounds)
const seed = Number(values.seed)
if (!Number.isSafeInteger(roundsWanted) || roundsWanted < 1) throw new TypeError('--rounds takes a number from 1 on')
const { format } = values as { format: 'binary' | 'ndjson' }
if (format !== 'binary' && format !== 'ndjson') throw new TypeError('--format takes binary or ndjson')
if (!Number.isSafeInteger(seed)) throw new TypeError('--seed takes an integer')

const random = randomFrom(seed, 0)
const root = mkdtempSync(join(tmpdir(), 'walrus-kill9-'))
const directory = join(root, 'log')
const ledger = join(root, 'ledger')
const counts = { writing: 0, opening: 0, idle: 0, recoveries: 0, compared: 0 }

/** What the writer was last heard to do. */
type Stage = 'starting' | 'opening' | 'open' | 'done'

/** Lets a writer come to the given stage and a random moment further, kills it, and tells where it was by then. */
async function writeAndKill(round: number, stage: Stage, delayMs: number): Promise<Stage> {
  const program = fileURLToPath(new URL('writer.js', import.meta.url))
  const writer = spawn(process.execPath, [program, directory, ledger, format, `${seed}`, `${round}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let reached: Stage = 'starting'
  const ended = once(writer, 'exit')
  const lines = createInterface(writer.stdout)
  const arrived = new Promise<void>(resolve => {
    lines.on('line', line => {
      reached = line as Stage
      if (reached === stage) resolve()
    })
  })
  await Promise.race([arrived, ended])
  await setTimeout(delayMs)
  writer.kill('SIGKILL')
  const [code, signal] = await ended
  if (signal !== 'SIGKILL') throw new Error(`the writer ended by itself, with code ${code}`)
  return reached
}

async function oneRound(round: number): Promise<void> {
  const early = random() < 0.25
  const reached = await writeAndKill(round, early ? 'opening' : 'open', random() * random() * (early ? 40 : 150))
  counts[reached === 'open' ? 'writing' : reached === 'done' ? 'idle' : 'opening']++
  // Now and then the next writer finds the log as it was left, and recovers it; or is killed while it does.
  if (random() < 0.25 && round < roundsWanted) return
  const verified = await verifyLog(directory, seed, readLedger(ledger), format)
  counts.compared += verified.entries
  if (verified.recovered) counts.recoveries++
}

function summary(): string {
  let acknowledged = 0
  for (const { opened, acknowledged: last } of readLedger(ledger).values()) acknowledged += Math.max(0, last - opened)
  const { writing, opening, idle, recoveries, compared } = counts
  const kills = `${writing} while writing, ${opening} while opening, ${idle} when idle`
  const number = (value: number) => value.toLocaleString('en-US')
  return (
    `kill -9: ${roundsWanted} rounds (${format}, seed ${seed}): ${kills}; ${recoveries} recoveries checked; ` +
    `${number(acknowledged)} entries acknowledged, 0 lost, 0 invented; ${number(compared)} comparisons`
  )
}

for (let round = 1; round <= roundsWanted; round++) {
  try {
    await oneRound(round)
    if (round % 50 === 0 && round < roundsWanted) console.log(`round ${round} of ${roundsWanted}`)
  } catch (error) {
    console.error(`Round ${round} of seed ${seed} failed; the log is kept in ${root}.`)
    throw error
  }
}
console.log(summary())
if (values.keep) console.log(`The log is kept in ${root}.`)
else rmSync(root, { recursive: true })
