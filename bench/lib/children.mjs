// @ts-check
// Starts one process per measurement: child.mjs for the peers from npm, the binary of bench/go for the Go ones.
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const TIMEOUT_MS = 300_000
/** Making the largest logs takes longer than any measurement. */
const FILL_TIMEOUT_MS = 3_600_000
const BENCH = new URL('..', import.meta.url).pathname
const NODE_FOR_SQLITE = join(BENCH, 'node_modules/node/bin/node')
const FIRST_NODE_FOR_SQLITE = 22

/**
 * @param {{ go?: boolean, peer: string }} row
 * @param {string} scratch where the Go binary lies
 * @param {{ body: string, [more: string]: unknown }} spec
 * @returns {Promise<any>} the figures, or `{ failed }`
 */
export function runChild(row, scratch, spec) {
  const argument = JSON.stringify(spec)
  const timeout = spec.body === 'fill' ? FILL_TIMEOUT_MS : TIMEOUT_MS
  if (row.go) return collect(join(scratch, 'go-peers'), [argument], timeout)
  return collect(nodeFor(row.peer), ['--expose-gc', join(BENCH, 'child.mjs'), argument], timeout)
}

/** better-sqlite3 13 ships its binary for Node 22 and later; an older Node runs it in a child of its own. @param {string} peer */
function nodeFor(peer) {
  const major = Number(process.versions.node.split('.')[0])
  return peer === 'sqlite' && major < FIRST_NODE_FOR_SQLITE ? NODE_FOR_SQLITE : process.execPath
}

/** @param {string} command @param {string[]} parameters @param {number} timeout @returns {Promise<any>} */
function collect(command, parameters, timeout) {
  return new Promise(resolve => {
    const child = spawn(command, parameters, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout,
      killSignal: 'SIGKILL',
    })
    let [output, complaint] = ['', '']
    child.stdout.setEncoding('utf8').on('data', text => {
      output += text
    })
    child.stderr.setEncoding('utf8').on('data', text => {
      complaint += text
    })
    child.on('error', error => resolve({ failed: error.message }))
    child.on('close', (code, signal) => resolve(parse(output) ?? { failed: reason(code, signal, complaint) }))
  })
}

/** @param {string} output */
function parse(output) {
  const line = output.trim().split('\n').at(-1)
  return line ? JSON.parse(line) : undefined
}

/** @param {number | null} code @param {string | null} signal @param {string} complaint */
function reason(code, signal, complaint) {
  const lines = complaint.trim().split('\n')
  const said = lines.find(line => /^\w*Error\b/.test(line)) ?? lines.at(-1) ?? ''
  return `${said.trim()} (${signal === null ? `exit code ${code}` : signal})`
}

/** Installs the peers from npm where they are missing. Returns a sentence when that failed. */
export function installPeers() {
  if (existsSync(join(BENCH, 'node_modules/lmdb'))) return undefined
  console.log('installing the peers (npm --prefix bench install) ...')
  const { status } = spawnSync('npm', ['install', '--prefix', BENCH], { stdio: ['ignore', 'inherit', 'inherit'] })
  return status === 0 ? undefined : 'npm could not install the peers of bench/package.json'
}

/**
 * Adds the Go Walrus to the Go peers where GO_WALRUS names a checkout of it: no module proxy has it. Returns a sentence when it cannot
 * be had.
 * @param {string} scratch
 */
export function buildGoWalrus(scratch) {
  const checkout = process.env['GO_WALRUS']
  if (checkout === undefined)
    return 'the Go module proxy does not serve github.com/l00pss/walrus; set GO_WALRUS to a checkout'
  const [sources, walrus] = [join(scratch, 'go-sources'), join(scratch, 'go-walrus')]
  for (const directory of [sources, walrus]) rmSync(directory, { recursive: true, force: true })
  cpSync(join(BENCH, 'go'), sources, { recursive: true })
  cpSync(checkout, walrus, { recursive: true })
  cpSync(join(BENCH, 'go/inside/bench.go'), join(walrus, 'bench.go'))
  rmSync(join(sources, 'inside'), { recursive: true })
  const module = 'github.com/l00pss/walrus'
  const steps = [
    ['mod', 'edit', `-require=${module}@v0.0.0`, `-replace=${module}=../go-walrus`],
    ['build', '-mod=mod', '-tags', 'gowalrus', '-o', join(scratch, 'go-peers'), '.'],
  ]
  for (const step of steps) {
    const { status, stderr } = spawnSync('go', step, { cwd: sources, encoding: 'utf8' })
    if (status !== 0) return `go ${step[0]} failed: ${stderr.trim().split('\n').at(-1)}`
  }
  return undefined
}

/** Builds the Go peers; returns a sentence when they cannot be had. @param {string} scratch */
export function buildGoPeers(scratch) {
  const options = /** @type {const} */ ({ cwd: join(BENCH, 'go'), encoding: 'utf8' })
  const { error, status, stderr } = spawnSync('go', ['build', '-o', join(scratch, 'go-peers'), '.'], options)
  if (error !== undefined) return 'there is no `go` on this machine'
  return status === 0 ? undefined : `go build failed: ${stderr.trim().split('\n').at(-1)}`
}
