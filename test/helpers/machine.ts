import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** What of this machine a test may depend on; a test of this module gives another. */
export interface Machine {
  isRoot: boolean
  isCi: boolean
  has(tool: string): boolean
}

const thisMachine: Machine = {
  isRoot: process.getuid?.() === 0,
  isCi: Boolean(process.env['CI']),
  has: isInstalled,
}

/**
 * For `describe.runIf`: whether scenes that need root and these tools can be played here. A laptop may leave them out; in
 * CI they have to run, so there it throws and names what is missing.
 */
export function rootWith(tools: readonly string[], machine: Machine = thisMachine): boolean {
  const missing = tools.filter(tool => !machine.has(tool))
  if (!machine.isRoot) missing.unshift('root')
  if (missing.length > 0 && machine.isCi)
    throw new Error(`these tests have to run in CI; missing: ${missing.join(', ')}`)
  return missing.length === 0
}

export function isInstalled(tool: string): boolean {
  const directories = (process.env['PATH'] ?? '').split(delimiter)
  return directories.some(directory => isExecutable(join(directory, tool)))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
