import type { WalErrorCode } from '../../src/errors.js'
import { WalError } from '../../src/errors.js'

/** Lets everything happen that needs no more than some turns of the event loop. */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(resolve => setImmediate(resolve))
}

/** Waits for a condition that some turns of the event loop bring about, however many they are. */
export async function until(holds: () => boolean, what = holds.toString()): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`still not so after 10 s: ${what}`)
    await turns(1)
  }
}

/** What a promise rejects with, which must be a WalError of this code. */
export async function walError(promise: Promise<unknown>, code: WalErrorCode): Promise<WalError> {
  const error = await rejection(promise)
  if (error instanceof WalError && error.code === code) return error
  throw new Error(`expected ${code}`, { cause: error })
}

export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('the promise did not reject')
}
