import { systemClock } from '../../src/clock.js'
import { Consumers } from '../../src/consumers/consumers.js'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import { FileLog } from '../../src/log/file-log.js'
import { defaultTuning } from '../../src/log/tuning.js'
import { verifyOpenLog } from '../../src/log/verify-open-log.js'
import { resolveOptions } from '../../src/options.js'
import { createFormat } from '../../src/segments/create-format.js'
import { openStore } from '../../src/segments/opening.js'
import type { Wal, WalOptions } from '../../src/types.js'
import { FileWal } from '../../src/wal.js'
import type { ControlledLogOptions } from '../contract/controlled-log.js'
import type { OpenWal } from '../contract/rxjs-suite.js'
import { DiskSwitch } from './disk-switch.js'

/** The suites' way to the real log, on a simulated disk; also to the Wal around it. */
export const openFileLog: OpenWal = async <T, In>(given: ControlledLogOptions<T, In> & WalOptions) => {
  const fs = new SimulatedFileSystem()
  await fs.createDirectory('/log')
  const options = resolveOptions<In, T>({ segmentMaxBytes: 1 << 16, ...given })
  const { store, report } = await openStore({
    fs,
    clock: systemClock,
    directory: '/log',
    logger: options.logger,
    format: options.format,
    encoding: options.encoding.name,
    startIndex: options.startIndex,
    createIfMissing: true,
    strict: false,
    io: options.io,
    zeroAhead: { ...defaultTuning.zeroAhead, segmentMaxBytes: options.segmentMaxBytes },
    limits: { maxEntryBytes: options.maxEntryBytes, maxBatchBytes: options.maxBatchBytes },
    createFormat,
  })
  let log: FileLog<In, T> | undefined
  const wal = new FileWal<T, In>({
    recoveryReport: report,
    transaction: { ...options.transaction, maxBatchBytes: options.maxBatchBytes },
    createLog: events => {
      const made = new FileLog({
        fs,
        clock: systemClock,
        store,
        options,
        tuning: defaultTuning,
        release: async () => {},
        events,
      })
      log = made
      const consumers = new Consumers({
        log: made,
        history: store,
        fs,
        clock: systemClock,
        directory: '/log/consumers',
        names: [],
      })
      return { log: made, verify: asked => verifyOpenLog(fs, systemClock, made, asked), consumers }
    },
  })
  if (log === undefined) throw new Error('the Wal has made no log')
  const opened = log
  const disk = new DiskSwitch(fs)
  return {
    log: opened,
    wal: wal as unknown as Wal<T, In>,
    setDisk: state => disk.set(state),
    resume: () => opened.resume(),
    truncateAfter: index => opened.truncateAfter(index),
    truncateBefore: index => opened.truncateBefore(index),
    close: () => opened.close(),
  }
}
