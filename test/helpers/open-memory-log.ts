import type { ControlledLog, ControlledLogOptions } from '../contract/controlled-log.js'
import { MemoryLog } from './memory-log.js'

/** The suites' way to a log in memory. */
export async function openMemoryLog<T, In>(options: ControlledLogOptions<T, In>): Promise<ControlledLog<T, In>> {
  const log = new MemoryLog<T, In>(options)
  return {
    log,
    setDisk: disk => log.setDisk(disk),
    resume: async () => log.resume(),
    truncateAfter: async index => log.truncateAfter(index),
    truncateBefore: async index => log.truncateBefore(index),
    close: () => log.close(),
  }
}
