// `npm run soak:consumers -- --seconds 300 --seed 1`: a process that writes to a log and has consumers follow it is killed with
// SIGKILL over and over. Each handler must be given every entry, in order, at least once; the view in SQLite exactly once.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { checkJournal } from './journal.js'
import { View } from './view.js'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '300' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const seconds = Number(values.seconds)
const seed = Number(values.seed)
if (!(seconds > 0)) throw new TypeError('--seconds takes a number above 0')
if (!Number.isSafeInteger(seed)) throw new TypeError('--seed takes an integer')

const directory = mkdtempSync(join(tmpdir(), 'walrus-soak-'))
const program = fileURLToPath(new URL('service.js', import.meta.url))
const number = (value: number) => value.toLocaleString('en-US')

function start(round: number, mode: string) {
  return spawn(process.execPath, [program, directory, `${seed + round}`, mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** Kills the service some moments after it has begun, sometimes before it is open. */
async function runAndKill(round: number): Promise<void> {
  const service = start(round, 'write')
  const ended = once(service, 'exit')
  if (Math.random() < 0.9) await Promise.race([once(service.stdout, 'data'), ended])
  await setTimeout(Math.random() * 800)
  service.kill('SIGKILL')
  const [code, signal] = await ended
  if (signal !== 'SIGKILL') throw new Error(`the service ended by itself, with code ${code}`)
}

/** Lets the service come to the end; returns the last index of the log. */
async function finish(round: number): Promise<number> {
  const service = start(round, 'finish')
  const ended = once(service, 'exit')
  let last = 0
  createInterface(service.stdout).on('line', line => {
    if (line.startsWith('last ')) last = Number(line.slice(5))
  })
  const [code] = await ended
  if (code !== 0) throw new Error(`the service did not come to its end: code ${code}`)
  return last
}

function journals() {
  const of = (name: string, belongs: (index: number) => boolean = () => true) =>
    checkJournal(join(directory, `${name}.journal`), belongs)
  return {
    plain: of('plain'),
    flaky: of('flaky'),
    thirds: of('thirds', index => index % 3 === 0),
    pulled: of('pulled'),
  }
}

function checkView(): { count: number; last: number } {
  const view = new View(join(directory, 'view.db'))
  const summary = view.summary()
  view.close()
  if (summary.count !== summary.last) throw new Error(`the view has ${summary.count} entries up to ${summary.last}`)
  return summary
}

/** Plays until the time is over, and sums up what was seen. */
async function soak(): Promise<string> {
  const end = performance.now() + seconds * 1000
  let kills = 0
  for (let round = 1; performance.now() < end; round++) {
    await runAndKill(round)
    kills++
    journals()
    if (round % 5 === 0) checkView()
    if (round % 50 === 0) console.log(`${kills} kills`)
  }
  const last = await finish(kills + 1)
  const seen = journals()
  const expected = { plain: last, flaky: last, thirds: last - (last % 3), pulled: last }
  for (const name of ['plain', 'flaky', 'thirds', 'pulled'] as const) {
    if (seen[name].last !== expected[name])
      throw new Error(`consumer ${name} has come to entry ${seen[name].last} of ${last}`)
  }
  if (checkView().last !== last) throw new Error(`the view has not come to entry ${last}`)
  const again = Object.values(seen).reduce((sum, { given }) => sum + given, 0)
  return (
    `consumers (seed ${seed}): ${kills} kills; ${number(last)} entries, given ${number(again)} times to four handlers, ` +
    `0 left out, 0 out of order; in the view exactly once`
  )
}

try {
  console.log(await soak())
  rmSync(directory, { recursive: true })
} catch (error) {
  console.error(`Seed ${seed} failed; what is left is in ${directory}.`)
  throw error
}
