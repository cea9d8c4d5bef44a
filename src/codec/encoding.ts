import { isUtf8 } from 'node:buffer'
import { types } from 'node:util'
import { WalError } from '../errors.js'
import type { Encoding, StandardSchema } from '../types.js'

/** Takes bytes (any view) or a string (stored as UTF-8), gives a Buffer. The default encoding. */
export function bytes(): Encoding<Uint8Array | string, Buffer> {
  return { name: 'bytes', encode: encodeBytes, decode: keepBytes }
}

/** Takes and gives strings, stored as UTF-8. A string with a lone surrogate has no UTF-8 form and is WAL_INVALID_ENTRY. */
export function text(): Encoding<string> {
  return { name: 'text', encode: encodeText, decode: decodeUtf8 }
}

/**
 * Takes and gives whatever JSON can hold, stored as JSON text.
 *
 * `schema` is any Standard Schema validator (zod, valibot, arktype, ...). It is asked on append only, synchronously, and only
 * accepts or refuses: what is stored is the value given, not the validator's output. Reading does not validate, so entries
 * written under an older schema stay readable. Refused and unserialisable data are WAL_INVALID_ENTRY.
 */
export function json<T = unknown>(options: { schema?: StandardSchema<T> } = {}): Encoding<T> {
  const validate = validatorOf(options)
  return {
    name: 'json',
    encode(data) {
      validate?.(data)
      return encodeJson(data)
    },
    decode: stored => JSON.parse(decodeUtf8(stored)) as T,
  }
}

/**
 * Runs an encoding's `encode` and holds it to its contract: bytes, or WAL_INVALID_ENTRY. The result may be the caller's own
 * memory. Only misuse by type stays the TypeError it is.
 */
export function encodeData<In>(encoding: Encoding<In, unknown>, data: In): Uint8Array {
  let encoded: unknown
  try {
    encoded = encoding.encode(data)
  } catch (error) {
    throw isOurs(error)
      ? error
      : invalid(`encoding '${encoding.name}' could not encode the data: ${reasonOf(error)}`, error)
  }
  // Not instanceof: where code runs in a realm of its own (jest, vm), a Buffer is no instance of that realm's Uint8Array.
  if (types.isUint8Array(encoded)) return encoded
  // Nobody waits for it; without a handler its rejection would end the process.
  if (isPromise(encoded)) encoded.then(undefined, () => undefined)
  throw invalid(`encode() of encoding '${encoding.name}' must return a Uint8Array, it returned ${describe(encoded)}`)
}

/** What decodes the entries of a cursor, as `decodeData` does; undefined where the bytes are what is handed out. */
export function decoderOf<Out>(encoding: Encoding<never, Out>): ((stored: Buffer, index: number) => Out) | undefined {
  const decode: (stored: Buffer) => unknown = encoding.decode
  return decode === keepBytes ? undefined : (stored, index) => decodeData(encoding, stored, index)
}

/** Runs an encoding's `decode`; what it throws becomes WAL_INVALID_ENTRY with the entry's index. */
export function decodeData<Out>(encoding: Encoding<never, Out>, stored: Buffer, index: number): Out {
  try {
    return encoding.decode(stored)
  } catch (cause) {
    const message = `entry ${index} (${stored.length} bytes) cannot be decoded as '${encoding.name}': ${reasonOf(cause)}`
    throw new WalError('WAL_INVALID_ENTRY', `${message}. Was it written with another encoding?`, { cause, index })
  }
}

function keepBytes(stored: Buffer): Buffer {
  return stored
}

function encodeBytes(data: Uint8Array | string): Uint8Array {
  if (types.isUint8Array(data)) return data
  if (typeof data === 'string') return encodeUtf8(data)
  if (ArrayBuffer.isView(data)) {
    const view = data as ArrayBufferView
    return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
  }
  throw wrongType('a Uint8Array or a string', data)
}

function encodeText(data: string): Uint8Array {
  if (typeof data === 'string') return encodeUtf8(data)
  throw wrongType('a string', data)
}

function encodeUtf8(data: string): Uint8Array {
  // Buffer.from() would put U+FFFD in the place of a lone surrogate: other data than what was given.
  if (data.isWellFormed()) return Buffer.from(data, 'utf8')
  throw invalid('the string holds a lone surrogate (half of a character), which UTF-8 cannot store')
}

function decodeUtf8(stored: Buffer): string {
  const decoded = stored.toString('utf8')
  // toString() puts U+FFFD in the place of what is no UTF-8, so only a string that holds one needs the closer look.
  if (decoded.includes('\ufffd') && !isUtf8(stored)) throw invalid('the bytes are no valid UTF-8')
  return decoded
}

function encodeJson(data: unknown): Uint8Array {
  const encoded: string | undefined = JSON.stringify(data)
  if (encoded !== undefined) return Buffer.from(encoded, 'utf8')
  throw invalid(`${describe(data)} has no JSON form; use null for "nothing"`)
}

function validatorOf<T>(options: { schema?: StandardSchema<T> }): ((data: unknown) => void) | undefined {
  if (typeof options !== 'object' || options === null) throw wrongType('an object of options', options)
  for (const name of Object.keys(options)) {
    if (name !== 'schema') throw new WalError('WAL_INVALID_OPTION', `json() has no option '${name}', only 'schema'`)
  }
  if (options.schema === undefined) return undefined
  const standard = (options.schema as Partial<StandardSchema<T>> | null)?.['~standard']
  if (typeof standard?.validate !== 'function') {
    const found = describe(options.schema)
    throw new WalError(
      'WAL_INVALID_OPTION',
      `option 'schema' of json() must be a Standard Schema (an object with '~standard'), got ${found}`,
    )
  }
  return data => refuseIssues(standard.validate(data))
}

function refuseIssues(result: unknown): void {
  if (isPromise(result)) {
    // Nobody waits for it any more; without a handler its rejection would end the process.
    result.then(undefined, () => undefined)
    throw invalid(
      'the schema validates asynchronously; append decides synchronously, so use a schema without async parts',
    )
  }
  const issues = (result as { issues?: readonly SchemaIssue[] } | null | undefined)?.issues
  if (issues) throw invalid(`the schema refused the data: ${issues.map(describeIssue).join('; ')}`, issues)
}

interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

function describeIssue({ message, path }: SchemaIssue): string {
  if (path === undefined || path.length === 0) return message
  return `${path.map(step => String(typeof step === 'object' ? step.key : step)).join('.')}: ${message}`
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

function isOurs(error: unknown): boolean {
  if (error instanceof WalError) return true
  return error instanceof TypeError && (error as { code?: unknown }).code === WRONG_TYPE
}

/** Node's own code for an argument of a wrong type. */
const WRONG_TYPE = 'ERR_INVALID_ARG_TYPE'

function wrongType(expected: string, got: unknown): TypeError {
  return Object.assign(new TypeError(`expected ${expected}, got ${describe(got)}`), { code: WRONG_TYPE })
}

function invalid(message: string, cause?: unknown): WalError {
  return new WalError('WAL_INVALID_ENTRY', message, { cause })
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  return `an instance of ${value.constructor?.name ?? 'Object'}`
}
