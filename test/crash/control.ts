import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { runNode } from '../helpers/process.js'
import { CONTROLS, type Control } from './controls.js'

/*
 * Runs the negative controls: breaks one duty at a time in a copy of this build and sees whether the search notices.
 * Arguments: parts of names; without any, all of them.
 */
const build = fileURLToPath(new URL('../..', import.meta.url))
const copies = fileURLToPath(new URL('../../../controls', import.meta.url))
const wanted = process.argv.slice(2)
const controls = CONTROLS.filter(({ name }) => wanted.length === 0 || wanted.some(part => name.includes(part)))
const AT_A_TIME = 2
/** A search takes seconds; one that is killed has noticed nothing. */
const TIMEOUT_MS = 600_000

const queue = controls.entries()
let caught = 0
await Promise.all(
  Array.from({ length: AT_A_TIME }, async () => {
    for (const [number, control] of queue) if (await isCaught(control, `${copies}/${number}`)) caught++
  }),
)
rmSync(copies, { recursive: true, force: true })
console.log(`negative controls caught: ${caught} of ${controls.length}`)
process.exitCode = caught === controls.length ? 0 : 1

async function isCaught(control: Control, directory: string): Promise<boolean> {
  cpSync(build, directory, { recursive: true })
  for (const { file, from, to } of control.edits) replaceOnce(`${directory}/${file}`, from, to)
  const started = Date.now()
  const search = [`${directory}/test/crash/main.js`, '--threads', '1', ...control.look]
  const { output } = await runNode(search, { cwd: directory, timeoutMs: TIMEOUT_MS })
  const isFound = /^violations: [1-9]/m.test(output)
  const seconds = ((Date.now() - started) / 1000).toFixed(1)
  console.log(`${isFound ? 'caught' : 'NOT CAUGHT'} in ${seconds} s: ${control.name}`)
  if (!isFound || process.env['CONTROLS_VERBOSE']) console.log(output.slice(0, 2000))
  return isFound
}

/** A control that no longer fits the code would prove nothing. */
function replaceOnce(path: string, from: string, to: string): void {
  const text = readFileSync(path, 'utf8')
  const places = text.split(from).length - 1
  if (places !== 1)
    throw new Error(`${path} has ${places} places that read '${from}': make the control fit the code again`)
  writeFileSync(
    path,
    text.replace(from, () => to),
  )
}
