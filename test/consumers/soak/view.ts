import { rmSync } from 'node:fs'
import sqlite from 'node-sqlite3-wasm'

/** A view in SQLite that refuses to see an entry twice, with the consumer's position in the same transaction. */
export class View {
  readonly #database: InstanceType<typeof sqlite.Database>

  constructor(path: string) {
    // This build of SQLite locks with a directory, which a killed process leaves behind.
    rmSync(`${path}.lock`, { recursive: true, force: true })
    this.#database = new sqlite.Database(path)
    // What the system has survives SIGKILL; syncs would only leave the others less to do.
    this.#database.exec(`
      PRAGMA synchronous = OFF;
      CREATE TABLE IF NOT EXISTS seen (entry INTEGER PRIMARY KEY);
      CREATE TABLE IF NOT EXISTS progress (id INTEGER PRIMARY KEY CHECK (id = 1), position TEXT NOT NULL);
    `)
  }

  get position(): string | undefined {
    return this.#database.get('SELECT position FROM progress')?.['position'] as string | undefined
  }

  add(indexes: readonly number[], position: string): void {
    this.#database.exec('BEGIN')
    for (const index of indexes) this.#database.run('INSERT INTO seen VALUES (?)', index)
    this.#database.run('INSERT OR REPLACE INTO progress VALUES (1, ?)', position)
    this.#database.exec('COMMIT')
  }

  /** How many entries took effect, and the last of them. */
  summary(): { count: number; last: number } {
    return this.#database.get('SELECT count(*) AS count, coalesce(max(entry), 0) AS last FROM seen') as never
  }

  close(): void {
    this.#database.close()
  }
}
