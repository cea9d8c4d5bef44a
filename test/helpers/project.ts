import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const projectRoot = fileURLToPath(new URL('../..', import.meta.url))

export function fromRoot(...path: string[]): string {
  return join(projectRoot, ...path)
}

/** The command line of a tool that is a dependency of development, for this very Node.js. */
export function tsc(...args: string[]): string[] {
  return [fromRoot('node_modules/typescript/bin/tsc'), ...args]
}

/** Tests of the built package would otherwise pass, or fail, for code that is no longer there. */
export function assertBuildIsFresh(): void {
  if (!existsSync(fromRoot('dist')) || newestChange(fromRoot('src')) > newestChange(fromRoot('dist'))) {
    throw new Error('dist is missing or older than src: run `npm run build` first')
  }
}

function newestChange(directory: string): number {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  return Math.max(...files.map(file => statSync(join(file.parentPath, file.name)).mtimeMs))
}
