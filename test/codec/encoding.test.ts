import { type } from 'arktype'
import { Packr } from 'msgpackr'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { bytes, decodeData, encodeData, json, text } from '../../src/codec/encoding.js'
import type { WalError } from '../../src/errors.js'
import type { Encoding, StandardSchema } from '../../src/types.js'

function roundTrip<In, Out>(encoding: Encoding<In, Out>, data: In): Out {
  return decodeData<Out>(encoding, Buffer.from(encodeData(encoding, data)), 1)
}

function errorOf(act: () => unknown): WalError {
  try {
    act()
  } catch (error) {
    return error as WalError
  }
  throw new Error('nothing was thrown')
}

describe('bytes', () => {
  test('takes any view and strings, gives Buffers', () => {
    const memory = new Uint8Array([9, 1, 2, 3, 9])
    expect(bytes().name).toBe('bytes')
    expect(roundTrip(bytes(), memory.subarray(1, 4))).toEqual(Buffer.from([1, 2, 3]))
    expect(roundTrip(bytes(), 'grün')).toEqual(Buffer.from('grün'))
    expect(roundTrip(bytes(), '')).toEqual(Buffer.alloc(0))
    expect(roundTrip(bytes(), new DataView(memory.buffer, 1, 2) as never)).toEqual(Buffer.from([1, 2]))
  })

  test('a view is not copied: the log copies once', () => {
    const data = new Uint8Array(8)
    expect(encodeData(bytes(), data)).toBe(data)
  })

  test.each([[42], [null], [undefined], [{}], [[1, 2]], [new ArrayBuffer(2)]])(
    '%o is misuse: a plain TypeError',
    data => {
      const error = errorOf(() => encodeData(bytes(), data as never))
      expect(error).toBeInstanceOf(TypeError)
      expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
      expect(error.message).toMatch(/Uint8Array or a string, got /)
    },
  )

  test('bytes of another realm are bytes, as jest and vm hand them out', async () => {
    const { runInNewContext } = await import('node:vm')
    const foreign = runInNewContext('new Uint8Array([1, 2])') as Uint8Array
    expect(foreign).not.toBeInstanceOf(Uint8Array)
    expect(roundTrip(bytes(), foreign)).toEqual(Buffer.from([1, 2]))
  })
})

describe('text', () => {
  test.each(['', 'a', 'grün', '日本', '👍', '\ufeffbom', '\ufffd'])('%j comes back as it was', data => {
    expect(text().name).toBe('text')
    expect(roundTrip(text(), data)).toBe(data)
  })

  test('a lone surrogate is refused rather than changed', () => {
    expect(errorOf(() => encodeData(text(), 'a\ud83d')).code).toBe('WAL_INVALID_ENTRY')
    expect(errorOf(() => encodeData(bytes(), '\udc4d')).code).toBe('WAL_INVALID_ENTRY')
  })

  test('bytes that are no UTF-8 cannot be decoded, with the index', () => {
    const error = errorOf(() => decodeData(text(), Buffer.from([0x61, 0xff]), 17))
    expect(error).toMatchObject({ code: 'WAL_INVALID_ENTRY', index: 17 })
    expect(error.message).toContain("entry 17 (2 bytes) cannot be decoded as 'text'")
  })

  test('anything but a string is a TypeError', () => {
    expect(errorOf(() => encodeData(text(), Buffer.from('x') as never))).toBeInstanceOf(TypeError)
  })
})

describe('json', () => {
  test.each([[null], [0], [''], [false], [[1, { a: 'ü' }]], ['\ud800']])('%j comes back as it was', data => {
    expect(json().name).toBe('json')
    expect(roundTrip(json(), data)).toEqual(data)
  })

  test.each([[undefined], [() => 1], [Symbol('s')], [1n], [circular()]])('%o has no JSON form', data => {
    expect(errorOf(() => encodeData(json(), data)).code).toBe('WAL_INVALID_ENTRY')
  })

  test('what is no JSON cannot be decoded', () => {
    const error = errorOf(() => decodeData(json(), Buffer.from('{"a":'), 3))
    expect(error).toMatchObject({ code: 'WAL_INVALID_ENTRY', index: 3 })
    expect(error.cause).toBeInstanceOf(SyntaxError)
    expect(errorOf(() => decodeData(json(), Buffer.from([0x22, 0xff, 0x22]), 3)).code).toBe('WAL_INVALID_ENTRY')
  })

  test('options are checked', () => {
    expect(errorOf(() => json({ schemas: 1 } as never))).toMatchObject({ code: 'WAL_INVALID_OPTION' })
    expect(errorOf(() => json({ schemas: 1 } as never)).message).toContain("'schemas'")
    expect(errorOf(() => json({ schema: {} as never }))).toMatchObject({ code: 'WAL_INVALID_OPTION' })
    expect(errorOf(() => json({ schema: null as never }))).toMatchObject({ code: 'WAL_INVALID_OPTION' })
  })
})

function circular(): unknown {
  const ring: { self?: unknown } = {}
  ring.self = ring
  return ring
}

interface Flight {
  origin: string
  delay: number
}

const schemas: [string, StandardSchema<Flight>][] = [
  ['zod', z.object({ origin: z.string(), delay: z.number() })],
  ['valibot', v.object({ origin: v.string(), delay: v.number() })],
  ['arktype', type({ origin: 'string', delay: 'number' })],
]

describe.each(schemas)('json with a schema of %s', (_vendor, schema) => {
  const encoding: Encoding<Flight> = json({ schema })

  test('accepts what fits and stores the value given', () => {
    const flight = { origin: 'ABQ', delay: -3, extra: 'kept' }
    expect(roundTrip(encoding, flight)).toEqual(flight)
  })

  test('refuses what does not, naming the issue and where it is', () => {
    const error = errorOf(() => encodeData(encoding, { origin: 'ABQ', delay: 'late' } as never))
    expect(error.code).toBe('WAL_INVALID_ENTRY')
    expect(error.message).toContain('delay: ')
  })

  test('does not validate on the way out, so that older entries stay readable', () => {
    expect(decodeData(encoding, Buffer.from('{"old":true}'), 1)).toEqual({ old: true })
  })
})

test('a schema that transforms only accepts or refuses: the value given is stored', () => {
  const trimmed = json({ schema: z.object({ name: z.string().trim() }) })
  expect(roundTrip(trimmed, { name: ' x ' })).toEqual({ name: ' x ' })
})

test('every issue is named', () => {
  const encoding = json({ schema: z.object({ a: z.string(), b: z.array(z.number()) }) })
  const { message } = errorOf(() => encodeData(encoding, { a: 1, b: ['x'] } as never))
  expect(message).toMatch(/a: .*; b\.0: /)
})

test('an asynchronous schema is refused, and its rejection does not end the process', async () => {
  const validate = () => Promise.reject(new Error('late'))
  const rejecting = { '~standard': { version: 1, vendor: 'test', validate } } as StandardSchema<string>
  for (const schema of [rejecting, z.string().refine(async () => true)]) {
    expect(errorOf(() => encodeData(json({ schema }), 'x'))).toMatchObject({ code: 'WAL_INVALID_ENTRY' })
  }
  await new Promise(resolve => setImmediate(resolve))
})

test('a schema that throws refuses', () => {
  const schema = { '~standard': { version: 1, vendor: 'test', validate: () => boom() } } as StandardSchema<unknown>
  const error = errorOf(() => encodeData(json({ schema }), 1))
  expect(error.code).toBe('WAL_INVALID_ENTRY')
  expect(error.cause).toMatchObject({ message: 'boom' })
})

function boom(): never {
  throw new Error('boom')
}

describe('an encoding of the user', () => {
  const packr = new Packr()
  const msgpack: Encoding<unknown> = {
    name: 'msgpack',
    encode: data => packr.pack(data),
    decode: stored => packr.unpack(stored),
  }

  test('msgpackr: dates, bytes and maps survive', () => {
    const event = { at: new Date(1_700_000_000_000), body: Buffer.from([0, 255]), tags: ['a', 'b'] }
    expect(roundTrip(msgpack, event)).toEqual(event)
  })

  test.each([
    ['throws', boom],
    ['throws a TypeError of its own', () => JSON.stringify(1n)],
    ['returns no bytes', () => 'a string'],
    ['returns nothing', () => undefined],
  ])('one that %s is WAL_INVALID_ENTRY and names itself', (_what, encode) => {
    const broken = { name: 'broken', encode, decode: boom } as unknown as Encoding<unknown>
    const error = errorOf(() => encodeData(broken, 1))
    expect(error.code).toBe('WAL_INVALID_ENTRY')
    expect(error.message).toContain("'broken'")
  })
})
