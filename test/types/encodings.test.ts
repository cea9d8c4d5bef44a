import { type } from 'arktype'
import * as v from 'valibot'
import { expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { bytes, json, text } from '../../src/codec/encoding.js'
import type { Encoding } from '../../src/types.js'

interface Flight {
  origin: string
  delay: number
}

test('an encoding says what goes in and what comes out', () => {
  expectTypeOf(bytes()).toEqualTypeOf<Encoding<Uint8Array | string, Buffer>>()
  expectTypeOf(text()).toEqualTypeOf<Encoding<string>>()
  expectTypeOf(json<Flight>()).toEqualTypeOf<Encoding<Flight>>()
  expectTypeOf(json()).toEqualTypeOf<Encoding<unknown>>()
})

test('json infers the type from a schema of any vendor', () => {
  expectTypeOf(json({ schema: z.object({ origin: z.string(), delay: z.number() }) })).toEqualTypeOf<Encoding<Flight>>()
  expectTypeOf(json({ schema: v.object({ origin: v.string(), delay: v.number() }) })).toEqualTypeOf<Encoding<Flight>>()
  expectTypeOf(json({ schema: type({ origin: 'string', delay: 'number' }) })).toEqualTypeOf<Encoding<Flight>>()
})
