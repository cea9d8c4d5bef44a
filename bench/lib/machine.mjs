// @ts-check
// What the figures were taken on. Nothing here names the machine or its paths.
import { readFileSync } from 'node:fs'
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os'

/** @param {string} directory a directory on the disk that is measured */
export function describeMachine(directory) {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.versions.node,
    fileSystem: fileSystemOf(directory),
    loadBefore: loadavg()[0] ?? 0,
  }
}

/** The type of the longest mount point above the directory, where /proc tells it. @param {string} directory */
export function fileSystemOf(directory) {
  try {
    const mounts = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map(line => line.split(' '))
    const above = mounts.filter(
      ([, point]) => point && `${directory}/`.startsWith(point.endsWith('/') ? point : `${point}/`),
    )
    above.sort((a, b) => (b[1] ?? '').length - (a[1] ?? '').length)
    return above[0]?.[2] ?? 'unknown'
  } catch {
    return 'unknown'
  }
}
