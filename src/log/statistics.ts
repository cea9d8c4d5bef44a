import type { WalStats } from '../types.js'
import { HistogramRecorder } from './histogram.js'

type CommitFigures =
  | 'entriesAppended'
  | 'bytesAppended'
  | 'commits'
  | 'syncs'
  | 'rotations'
  | 'commitEntries'
  | 'commitLatencyMs'
  | 'syncLatencyMs'

/** What the committer counts, since the log was opened. */
export class CommitStatistics {
  readonly #commitEntries = new HistogramRecorder()
  readonly #commitLatencyMs = new HistogramRecorder()
  readonly #syncLatencyMs = new HistogramRecorder()
  #entries = 0
  #bytes = 0
  #commits = 0
  #syncs = 0
  #rotations = 0

  committed(entries: number, bytes: number, latencyMs: number): void {
    this.#entries += entries
    this.#bytes += bytes
    this.#commits++
    this.#commitEntries.record(entries)
    this.#commitLatencyMs.record(latencyMs)
  }

  synced(durationMs: number): void {
    this.#syncs++
    this.#syncLatencyMs.record(durationMs)
  }

  rotated(): void {
    this.#rotations++
  }

  snapshot(): Pick<WalStats, CommitFigures> {
    return {
      entriesAppended: this.#entries,
      bytesAppended: this.#bytes,
      commits: this.#commits,
      syncs: this.#syncs,
      rotations: this.#rotations,
      commitEntries: this.#commitEntries.snapshot(),
      commitLatencyMs: this.#commitLatencyMs.snapshot(),
      syncLatencyMs: this.#syncLatencyMs.snapshot(),
    }
  }
}
