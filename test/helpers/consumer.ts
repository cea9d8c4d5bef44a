import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assertBuildIsFresh, fromRoot, projectRoot } from './project.js'

/** A project of somebody else that has installed the package from its tarball and knows nothing of this repository. */
export class Consumer {
  readonly directory = mkdtempSync(join(tmpdir(), 'walrus-consumer-'))

  constructor() {
    assertBuildIsFresh()
    this.write('package.json', JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
    // npm installs without a network when what the tarball declares is there already; what it does not declare, npm removes.
    for (const name of closureOf(Object.keys(manifestOf('.').dependencies ?? {}))) this.addPackage(name)
    this.#npm(
      'install',
      '--offline',
      '--ignore-scripts',
      '--cache',
      join(this.directory, 'cache'),
      pack(this.directory),
    )
  }

  /** Copies an installed package of this repository, as if the consumer had installed it too. */
  addPackage(name: string): void {
    cpSync(fromRoot('node_modules', name), join(this.directory, 'node_modules', name), { recursive: true })
  }

  addPackageWithDependencies(name: string): void {
    for (const each of closureOf([name])) this.addPackage(each)
  }

  write(name: string, text: string): void {
    mkdirSync(this.directory, { recursive: true })
    writeFileSync(join(this.directory, name), text)
  }

  /** Runs Node.js there; gives what it printed, on either stream, after its exit code. */
  node(...args: string[]): { status: number | null; output: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: this.directory, encoding: 'utf8' })
    return { status, output: `${stdout}${stderr}`.trim() }
  }

  remove(): void {
    rmSync(this.directory, { recursive: true })
  }

  #npm(...args: string[]): void {
    execFileSync('npm', args, { cwd: this.directory, stdio: ['ignore', 'ignore', 'inherit'] })
  }
}

function pack(destination: string): string {
  const args = ['pack', '--silent', '--ignore-scripts', '--pack-destination', destination]
  const name = execFileSync('npm', args, { cwd: projectRoot, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  return join(destination, name.trim())
}

/** The packages named and all they depend on. */
function closureOf(names: readonly string[], found = new Set<string>()): Set<string> {
  for (const name of names) {
    if (found.has(name)) continue
    found.add(name)
    closureOf(Object.keys(manifestOf(join('node_modules', name)).dependencies ?? {}), found)
  }
  return found
}

function manifestOf(directory: string): { dependencies?: Record<string, string> } {
  return JSON.parse(readFileSync(fromRoot(directory, 'package.json'), 'utf8'))
}
