/** A sync failed, or a rename or directory sync whose effect is unknown: never a reason to pause, whatever the errno. */
export class SyncFailure extends Error {
  constructor(cause: unknown) {
    super('sync failed', { cause: cause instanceof SyncFailure ? cause.cause : cause })
  }
}
