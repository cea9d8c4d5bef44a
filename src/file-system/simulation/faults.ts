import { type ErrnoName, errnoError } from './errors.js'
import type { SimulatedOperation } from './operation.js'

/** What goes wrong with a call. Without `error` and without a short transfer it is an EIO. */
export interface SimulatedFault {
  /** The name, or a negative number for one Node has no name for (EDQUOT is -122). Default `'EIO'`. */
  error?: ErrnoName | number
  /** Which calls count and can fail; default: all. */
  filter?: (operation: SimulatedOperation) => boolean
  /** True: every matching call from the nth on fails, until `clearFaults`. Default: only the nth. */
  sticky?: boolean
  /** The call fails and has taken effect all the same, as a rename can whose answer was lost. */
  applied?: boolean
  /** Only the answer is wrong: what a failing sync was to write can still be written by the next one. */
  harmless?: boolean
  /** A write succeeds with so many bytes instead of failing. */
  shortWrite?: number
  /** A read succeeds with at most so many bytes instead of failing. */
  shortRead?: number
}

/** A fault that was armed; tells whether it has happened. */
export class ArmedFault {
  readonly fault: SimulatedFault
  /** How often it has struck. */
  fired = 0
  #untilNth: number

  constructor(nth: number, fault: SimulatedFault) {
    this.#untilNth = nth
    this.fault = fault
  }

  strikes(operation: SimulatedOperation): boolean {
    if (this.fault.filter && !this.fault.filter(operation)) return false
    this.#untilNth--
    const strikes = this.#untilNth === 0 || (this.#untilNth < 0 && this.fault.sticky === true)
    if (strikes) this.fired++
    return strikes
  }

  error(operation: SimulatedOperation): Error {
    return errnoError(this.fault.error ?? 'EIO', operation.kind, operation.path)
  }
}
