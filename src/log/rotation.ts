import type { EventEmitter } from 'node:events'
import type { Clock } from '../clock.js'
import { ioError } from '../file-system/io-error.js'
import { PublishDeclined } from '../segments/publish.js'
import type { Segment } from '../segments/segment.js'
import type { Trigger, WalEvents, WalOptions } from '../types.js'
import type { Admission } from './admission.js'
import type { Committer } from './committer.js'

export interface RotationHost {
  clock: Clock
  events: EventEmitter<WalEvents>
  active: () => Segment
  rotate: () => Promise<unknown>
}

/**
 * Rotation by what the log cannot see in the entries: the age of the active segment and the user's trigger. (Size and number of
 * entries are the admission's business: they decide where an entry goes.) Returns a function that stops both.
 */
export function startRotation(rotation: NonNullable<WalOptions['rotation']>, host: RotationHost): () => void {
  const stops: (() => void)[] = []
  // A log that failed or was closed has told everybody who waits; a rotation that nobody asked for has nothing to add.
  const rotate = () => void host.rotate().catch(() => undefined)
  if (rotation.maxAgeMs !== undefined) stops.push(rotateByAge(rotation.maxAgeMs, host, rotate))
  if (rotation.trigger !== undefined) stops.push(rotateByTrigger(rotation.trigger, rotate))
  return () => {
    for (const stop of stops) stop()
  }
}

/** Counts from the segment's creation; an empty one has nothing to seal and is looked at again an age later. */
function rotateByAge(maxAgeMs: number, { clock, active }: RotationHost, rotate: () => void): () => void {
  let cancel: (() => void) | undefined
  const wait = () => {
    const { header } = active()
    const age = Math.max(0, clock.now() - header.createdAt)
    const left = Math.min(maxAgeMs, Math.max(1, maxAgeMs - age))
    cancel = clock.setTimer(() => {
      const segment = active()
      if (!segment.isEmpty && clock.now() - segment.header.createdAt >= maxAgeMs) rotate()
      wait()
    }, left)
  }
  wait()
  return () => cancel?.()
}

function rotateByTrigger(trigger: Trigger | AsyncIterable<unknown>, rotate: () => void): () => void {
  if ('subscribe' in trigger) {
    const quiet = () => undefined
    const subscription = trigger.subscribe({ next: rotate, error: quiet, complete: quiet })
    return () => subscription.unsubscribe()
  }
  const iterator = trigger[Symbol.asyncIterator]()
  let stopped = false
  const pull = async () => {
    for (let step = await iterator.next(); !step.done && !stopped; step = await iterator.next()) rotate()
  }
  // A trigger that fails triggers no more; the log goes on by its other limits.
  pull().catch(() => undefined)
  return () => {
    stopped = true
    void iterator.return?.()?.catch(() => undefined)
  }
}

/**
 * A rotation that was asked for. Where no new segment can be had, whoever asked is told so; the log goes on in the old one and tries
 * again with the next commit.
 */
export async function rotateWherePossible(
  committer: Pick<Committer, 'rotate' | 'store'>,
  admission: Pick<Admission, 'rotate'>,
): Promise<Segment | undefined> {
  try {
    return (await committer.rotate())?.sealed
  } catch (error) {
    if (!(error instanceof PublishDeclined)) throw error
    admission.rotate()
    throw ioError('beginning a segment in', committer.store.directory, error.cause)
  }
}
