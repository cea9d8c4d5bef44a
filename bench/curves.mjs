// @ts-check
// Scaling curves: one case body at growing values of one parameter. Pure data.

/**
 * @typedef {object} Curve
 * @property {string} id
 * @property {string} title
 * @property {string} xLabel
 * @property {boolean} [inBytes] x is a number of bytes
 * @property {string} unit
 * @property {string} figure
 * @property {(x: number) => Partial<import('./cases.mjs').Case>} at what the parameter is at `x`
 * @property {number[]} xs
 * @property {number} quickUpTo the last x of a quick run
 * @property {import('./cases.mjs').Row[]} rows
 */

const ENTRY_BYTES = 256
const MEBIBYTE = 1024 * 1024
/** Smaller logs are copied before they are made to grow; larger ones grow in place, by little. */
const COPIED_BYTES = 1024 * MEBIBYTE

/** @param {string} key @param {string} peer @param {string} how @param {object} [more] */
const row = (key, peer, how, more) => ({ key, peer, how, ...more })

/** @param {string} way */
const readsLogOfBytes = way => (/** @type {number} */ bytes) => ({
  body: way,
  fixture: /** @type {const} */ ('fill'),
  params: { entries: Math.floor(bytes / ENTRY_BYTES) },
  budget: { seconds: 1 },
})
const LOG_BYTES = [1, 10, 100, 1024, 10_240].map(size => size * MEBIBYTE)
const SEGMENTS = [1, 10, 100, 1000, 10_000]
const ENTRIES_PER_SEGMENT = 100

/** @type {Curve[]} */
export const CURVES = [
  {
    id: 'C1-replay',
    title: 'Cost of reading an entry in order by size of the log',
    xLabel: 'data in the log',
    inBytes: true,
    unit: 'ns per entry',
    figure: 'nsPerEntry',
    at: readsLogOfBytes('replay'),
    xs: LOG_BYTES,
    quickUpTo: 100 * MEBIBYTE,
    rows: [
      row('walrus', 'walrus', 'walrus-wal replay().chunks()', { params: { way: 'scanChunks' } }),
      row('lmdb', 'lmdb', 'lmdb getRange', { params: { way: 'scan' } }),
      row('sqlite', 'sqlite', 'sqlite iterate', { params: { way: 'scan' } }),
    ],
  },
  {
    id: 'C1-get',
    title: 'Cost of a random get by size of the log',
    xLabel: 'data in the log',
    inBytes: true,
    unit: 'ns per entry',
    figure: 'nsPerEntry',
    at: readsLogOfBytes('get'),
    xs: LOG_BYTES,
    quickUpTo: 100 * MEBIBYTE,
    rows: [
      row('walrus', 'walrus', 'walrus-wal getSync', { params: { way: 'getSync' } }),
      row('lmdb', 'lmdb', 'lmdb get', { params: { way: 'getSync' } }),
      row('sqlite', 'sqlite', 'sqlite select', { params: { way: 'getSync' } }),
    ],
  },
  {
    id: 'C1-open',
    title: 'Opening a cleanly closed log by its size',
    xLabel: 'data in the log',
    inBytes: true,
    unit: 'ms',
    figure: 'openMs',
    at: readsLogOfBytes('reopen'),
    xs: LOG_BYTES,
    quickUpTo: 100 * MEBIBYTE,
    rows: [
      row('walrus', 'walrus', 'walrus-wal openWal'),
      row('lmdb', 'lmdb', 'lmdb open'),
      row('sqlite', 'sqlite', 'sqlite open'),
    ],
  },
  {
    id: 'C1-append',
    title: 'Cost of a durable append by size of the log',
    xLabel: 'data already in the log',
    inBytes: true,
    unit: 'ns per entry',
    figure: 'nsPerEntry',
    at: bytes => ({
      body: 'growing',
      fixture: 'fill',
      params: { entries: Math.floor(bytes / ENTRY_BYTES), batch: 1000, onCopy: bytes <= COPIED_BYTES },
      budget: { seconds: 1, maxCount: 500_000 },
    }),
    xs: LOG_BYTES,
    quickUpTo: 100 * MEBIBYTE,
    rows: [
      row('walrus', 'walrus', 'walrus-wal appendBatch'),
      row('lmdb', 'lmdb', 'lmdb transactionSync'),
      row('sqlite', 'sqlite', 'sqlite transactions'),
    ],
  },
  {
    id: 'C2-open',
    title: 'Opening by number of segments',
    xLabel: 'segments',
    unit: 'ms',
    figure: 'openMs',
    at: segments => ({ body: 'reopen', fixture: 'fill', params: inSegments(segments), budget: { seconds: 60 } }),
    xs: SEGMENTS,
    quickUpTo: 1000,
    rows: [row('walrus', 'walrus', 'walrus-wal openWal')],
  },
  {
    id: 'C2-get',
    title: 'Cost of a random get by number of segments',
    xLabel: 'segments',
    unit: 'ns per entry',
    figure: 'nsPerEntry',
    at: segments => ({
      body: 'get',
      fixture: 'fill',
      params: { ...inSegments(segments), way: 'getSync' },
      budget: { seconds: 1 },
    }),
    xs: SEGMENTS,
    quickUpTo: 1000,
    rows: [row('walrus', 'walrus', 'walrus-wal getSync')],
  },
  {
    id: 'C3',
    title: 'Live readers: entries delivered to all together',
    xLabel: 'cursors',
    unit: 'entries/s',
    figure: 'deliveredPerSecond',
    at: tails => ({ body: 'tails', params: { tails, by: 'append' }, budget: { seconds: 2, maxCount: 300_000 } }),
    xs: [1, 4, 16, 64, 256, 1000],
    quickUpTo: 64,
    rows: [row('walrus', 'walrus', 'walrus-wal tails'), row('lmdb', 'lmdb', 'lmdb getRange when told')],
  },
  {
    id: 'C4',
    title: 'Durable throughput by size of an entry',
    xLabel: 'size of an entry',
    inBytes: true,
    unit: 'MB/s',
    figure: 'mbPerSecond',
    at: payloadBytes => ({ body: 'submit', payloadBytes, budget: { seconds: 1 } }),
    xs: [64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576],
    quickUpTo: 1_048_576,
    rows: [
      row('walrus', 'walrus', 'walrus-wal submit'),
      row('lmdb', 'lmdb', 'lmdb put'),
      row('raw', 'raw', '1 MiB direct writes', { settings: { direct: true } }),
    ],
  },
  {
    id: 'C5',
    title: 'Durable appends by number of writers, each waiting for its own',
    xLabel: 'writers',
    unit: 'entries/s',
    figure: 'perSecond',
    at: writers => ({ body: 'concurrent', params: { writers }, budget: { seconds: 1 } }),
    xs: [1, 4, 16, 64, 256, 1024],
    quickUpTo: 1024,
    rows: [
      row('walrus', 'walrus', 'walrus-wal append'),
      row('lmdb', 'lmdb', 'lmdb put'),
      row('level', 'level', 'classic-level put, sync'),
      row('raw', 'raw', 'write + fdatasync'),
    ],
  },
]

/** @param {number} segments */
function inSegments(segments) {
  return { entries: segments * ENTRIES_PER_SEGMENT, entriesPerSegment: ENTRIES_PER_SEGMENT }
}
