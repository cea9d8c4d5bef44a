import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Outcome {
  /** Exit code, or the signal that ended the process. */
  ended: number | NodeJS.Signals | null
  /** What it printed, standard output and standard error as they came. */
  output: string
}

/** Runs a Node.js program to its end, or kills it once the time is over. */
export function runNode(args: readonly string[], options: { cwd: string; timeoutMs: number }): Promise<Outcome> {
  const { cwd, timeoutMs } = options
  const child = spawn(process.execPath, args, {
    cwd,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ ended: code ?? signal, output }))
  })
}

/** As `runNode`, in a directory of its own that is gone afterwards. */
export async function runNodeAside(args: readonly string[], timeoutMs: number): Promise<Outcome> {
  const cwd = mkdtempSync(join(tmpdir(), 'walrus-run-'))
  try {
    return await runNode(args, { cwd, timeoutMs })
  } finally {
    rmSync(cwd, { recursive: true })
  }
}
