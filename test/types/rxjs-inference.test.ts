import type { Observable } from 'rxjs'
import { expectTypeOf, test } from 'vitest'
import { observe } from '../../src/rxjs.js'
import type { Entry, Wal } from '../../src/types.js'

declare const wal: Wal<{ a: number }>

test('observe infers what its project is given and what it gives', () => {
  const typed = () => {
    expectTypeOf(observe(wal)).toEqualTypeOf<Observable<Entry<{ a: number }>>>()
    expectTypeOf(observe(wal, { live: false })).toEqualTypeOf<Observable<Entry<{ a: number }>>>()
    expectTypeOf(observe(wal, { project: entry => [entry.data.a] })).toEqualTypeOf<Observable<number>>()
    expectTypeOf(observe(wal, { project: async entry => `${entry.index}` })).toEqualTypeOf<Observable<string>>()
  }
  expectTypeOf(typed).toBeFunction()
})
