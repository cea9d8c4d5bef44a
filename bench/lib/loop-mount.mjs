// @ts-check
// An ext4 file system with a journal inside a file of the disk under test. Needs root and e2fsprogs.
import { spawnSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const IMAGE_BYTES = 2 * 1024 * 1024 * 1024

/**
 * Mounts it under `scratch`; returns the directory and a function that takes it away, or says why it cannot be had.
 * @param {string} scratch
 * @returns {{ directory: string, unmount: () => void } | { why: string }}
 */
export function mountExt4(scratch) {
  if (process.getuid?.() !== 0) return { why: 'mounting a loop device needs root' }
  const image = join(scratch, 'ext4.img')
  const directory = join(scratch, 'ext4')
  run('umount', [directory]) // One that an interrupted run left.
  mkdirSync(directory, { recursive: true })
  const file = openSync(image, 'w')
  ftruncateSync(file, IMAGE_BYTES)
  closeSync(file)
  const unmount = () => {
    run('umount', [directory])
    rmSync(image, { force: true })
    rmSync(directory, { recursive: true, force: true })
  }
  const failure = run('mkfs.ext4', ['-q', '-F', image]) ?? run('mount', ['-o', 'loop', image, directory])
  if (failure === undefined) return { directory, unmount }
  unmount()
  return { why: failure }
}

/** What went wrong, if anything. @param {string} command @param {string[]} parameters */
function run(command, parameters) {
  const { status, error, stderr } = spawnSync(command, parameters, { encoding: 'utf8' })
  if (error !== undefined) return `${command}: ${error.message}`
  return status === 0 ? undefined : `${command}: ${stderr.trim()}`
}
