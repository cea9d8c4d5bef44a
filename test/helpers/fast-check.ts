import fc from 'fast-check'

/** The same cases in every run, unless others are asked for: what fails once fails again. */
fc.configureGlobal({ seed: Number(process.env['FAST_CHECK_SEED'] ?? 20261122) })
