import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')

describe('the type test', () => {
  it('compares every type of the contract', () => {
    const declared = read('../../docs/walrus-wal.d.ts').matchAll(/^export (?:interface|type|class) (\w+)/gm)
    const names = [...declared].map(([, name]) => name)
    const compared = read('./contract.ts')
    expect(names.length).toBeGreaterThan(30)
    expect(names.filter(name => !new RegExp(`\\bContract\\.${name}\\b`).test(compared))).toEqual([])
  })
})
