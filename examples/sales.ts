// The view of 04-sqlite-view.ts: how much was sold of each product, and up to where it has read the log.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import sqlite from 'node-sqlite3-wasm'

export type Sale = { product: string; quantity: number }

export interface SalesView {
  /** What `consumer.position` was when the last sales were added; undefined in an empty view. */
  readonly position: string | undefined
  /** Adds sales and moves the position, both or neither. */
  add(sales: readonly Sale[], position: string): void
  all(): { product: string; quantity: number; sales: number }[]
  close(): void
}

/** To be called by one process at a time; here the log's lock sees to that. */
export function openSales(directory: string): SalesView {
  const file = join(directory, 'sales.db')
  // This build of SQLite locks with a directory, which a killed process leaves behind.
  rmSync(`${file}.lock`, { recursive: true, force: true })
  const database = new sqlite.Database(file)
  database.exec(`
    CREATE TABLE IF NOT EXISTS sales (product TEXT PRIMARY KEY, quantity INTEGER NOT NULL, sales INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS progress (id INTEGER PRIMARY KEY CHECK (id = 1), position TEXT NOT NULL);
  `)
  return {
    get position() {
      return database.get('SELECT position FROM progress')?.['position'] as string | undefined
    },
    add(sales, position) {
      database.exec('BEGIN')
      try {
        for (const { product, quantity } of sales) {
          const sql = `INSERT INTO sales VALUES (?, ?, 1)
            ON CONFLICT (product) DO UPDATE SET quantity = quantity + excluded.quantity, sales = sales + 1`
          database.run(sql, [product, quantity])
        }
        database.run('INSERT OR REPLACE INTO progress VALUES (1, ?)', [position])
        database.exec('COMMIT')
      } catch (error) {
        database.exec('ROLLBACK')
        throw error
      }
    },
    all() {
      return database.all('SELECT * FROM sales ORDER BY product') as ReturnType<SalesView['all']>
    },
    close() {
      database.close()
    },
  }
}
